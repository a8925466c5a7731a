//! LoRA (arXiv:2106.09685 eq. 3): `y = W·x + (α/r)·B·A·x`. `W` is frozen, `A` starts random and `B` zero.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use turnwise_runfile::{Above, Within};

use crate::config::ModelConfig;

/// Range of the rank.
type Rank = Within<1, 16_384>;

/// Range of `alpha`.
type Scale = Above<0, 1_000_000>;

/// Names of linear layers that an adapter may have.
const TARGETS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// Layers that some families store as one, with its parts.
const FUSED: [(&str, &[&str]); 2] =
    [("qkv_proj", &["q_proj", "k_proj", "v_proj"]), ("gate_up_proj", &["gate_proj", "up_proj"])];

/// Names of layers in the families that have others than [`TARGETS`].
const OTHERS: [&str; 11] = [
    "input_linear",
    "output_linear",
    "in_proj",
    "in_proj_qkv",
    "in_proj_z",
    "in_proj_b",
    "in_proj_a",
    "out_proj",
    "w1",
    "w2",
    "w3",
];

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
    /// Names of the linear layers that get an adapter; unset, all of a block.
    pub targets: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: TARGETS.map(String::from).to_vec() }
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
        let known = TARGETS.into_iter().chain(FUSED.map(|(whole, _)| whole)).chain(OTHERS);
        let known: Vec<&str> = known.collect();
        match self.targets.iter().find(|target| !known.contains(&target.as_str())) {
            None => Ok(()),
            Some(other) => Err(format!(
                "lora.targets: \"{other}\" is no linear layer of a block\n  hint: there are {}",
                known.join(", ")
            )),
        }
    }

    /// Returns whether the linear layers of this name get an adapter. A layer that a family stores as one
    /// counts as any of its parts, and its name as all of them.
    pub(crate) fn adapts(&self, layer: &str) -> bool {
        let named = |name: &str| self.targets.iter().any(|target| target == name);
        let fused = FUSED.into_iter().any(|(whole, parts)| {
            (whole == layer && parts.iter().any(|part| named(part)))
                || (named(whole) && parts.contains(&layer))
        });
        // The default means every layer of a block.
        let all = OTHERS.contains(&layer) && TARGETS.into_iter().all(named);
        named(layer) || fused || all
    }

    /// Counts the parameters of the adapter on a model.
    pub fn parameters(&self, model: &ModelConfig) -> usize {
        let adapted = model.linears().filter(|linear| self.adapts(linear.target()));
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
