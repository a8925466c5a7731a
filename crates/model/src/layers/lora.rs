//! LoRA (arXiv:2106.09685 eq. 3): `y = W·x + (α/r)·B·A·x`. `W` is frozen, `A` starts random and `B` zero.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use turnwise_runfile::{Above, Within};

use crate::block::{LINEARS, target};
use crate::config::ModelConfig;

/// Range of the rank.
type Rank = Within<1, 16_384>;

/// Range of `alpha`.
type Scale = Above<0, 1_000_000>;

/// Configures an adapter: its linear layers and its size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank `r` of the update.
    #[serde(deserialize_with = "Rank::read")]
    pub rank: usize,
    /// Scale: the update is multiplied by `alpha / rank`.
    #[serde(deserialize_with = "Scale::read")]
    pub alpha: f64,
    /// Names of the linear layers that get an adapter; unset, all seven of a block.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: LINEARS.map(target).map(String::from).to_vec() }
    }
}

impl LoraConfig {
    /// Checks the numbers and names. Returns the fault, with the value.
    pub fn check(&self) -> Result<(), String> {
        Rank::check("lora.rank", self.rank)?;
        Scale::check("lora.alpha", self.alpha)?;
        if self.targets.is_empty() {
            return Err("lora.targets is empty: there would be nothing to train".into());
        }
        let known = LINEARS.map(target);
        match self.targets.iter().find(|target| !known.contains(&target.as_str())) {
            None => Ok(()),
            Some(other) => Err(format!(
                "lora.targets: \"{other}\" is no linear layer of a block\n  hint: there are {}",
                known.join(", ")
            )),
        }
    }

    /// Counts the parameters of the adapter on a model.
    pub fn parameters(&self, model: &ModelConfig) -> usize {
        let adapted =
            model.linears().filter(|linear| self.targets.iter().any(|name| name == linear.target()));
        self.rank * adapted.map(|linear| linear.inputs + linear.outputs).sum::<usize>()
    }
}

/// Holds the two small matrices next to a frozen weight.
#[derive(Module, Debug)]
pub(crate) struct Lora {
    /// `[r, in]`.
    pub(crate) a: Param<Tensor<2>>,
    /// `[out, r]`.
    pub(crate) b: Param<Tensor<2>>,
    /// `α / r`.
    pub(crate) scale: f64,
}

impl Lora {
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let a = self.a.val().cast(x.dtype());
        let b = self.b.val().cast(x.dtype());
        x.matmul(a.transpose()).matmul(b.transpose()).mul_scalar(self.scale)
    }

    /// Returns `(α/r)·B·A`, `[out, in]`.
    pub(crate) fn update(&self) -> Tensor<2> {
        self.b.val().matmul(self.a.val()).mul_scalar(self.scale)
    }
}
