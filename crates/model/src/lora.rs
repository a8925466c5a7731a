//! LoRA (arXiv:2106.09685 eq. 3): `y = W·x + (α/r)·B·A·x` with `W` frozen, `A` random and `B` zero at the start.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use turnwise_runfile::{Above, Within};

use crate::build::{parameter, parameter_id};
use crate::linear::Linear;
use crate::transformer::{Block, Transformer};

/// Ranks of an update.
type Rank = Within<1, 16_384>;

/// Values of `alpha`.
type Scale = Above<0, 1_000_000>;

/// Which linear layers get an adapter, and how large it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// Rank `r` of the update.
    #[serde(deserialize_with = "Rank::read")]
    pub rank: usize,
    /// The update is scaled by `alpha / rank`.
    #[serde(deserialize_with = "Scale::read")]
    pub alpha: f64,
    /// Names of the linear layers that get an adapter; all seven of a block unless told otherwise.
    pub targets: Vec<String>,
}

/// The linear layers of a block, under their Hugging Face names.
const LINEARS: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: LINEARS.map(String::from).to_vec() }
    }
}

impl LoraConfig {
    /// Checks the numbers and names. Returns what is wrong, with the value.
    pub fn check(&self) -> Result<(), String> {
        Rank::check("lora.rank", self.rank)?;
        Scale::check("lora.alpha", self.alpha)?;
        if self.targets.is_empty() {
            return Err("lora.targets is empty: there would be nothing to train".into());
        }
        match self.targets.iter().find(|target| !LINEARS.contains(&target.as_str())) {
            None => Ok(()),
            Some(other) => Err(format!(
                "lora.targets: \"{other}\" is no linear layer of a block\n  hint: there are {}",
                LINEARS.join(", ")
            )),
        }
    }
}

/// The two small matrices beside a frozen weight.
#[derive(Module, Debug)]
pub(crate) struct Lora {
    /// `[r, in]`.
    pub(crate) a: Param<Tensor<2>>,
    /// `[out, r]`.
    pub(crate) b: Param<Tensor<2>>,
    /// `α / r`.
    scale: f64,
}

impl Lora {
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let a = self.a.val().cast(x.dtype());
        let b = self.b.val().cast(x.dtype());
        x.matmul(a.transpose()).matmul(b.transpose()).mul_scalar(self.scale)
    }

    /// `(α/r)·B·A`, shape `[out, in]`.
    fn update(&self) -> Tensor<2> {
        self.b.val().matmul(self.a.val()).mul_scalar(self.scale)
    }
}

impl Block {
    fn linears_mut(&mut self) -> [(&'static str, &mut Linear); 7] {
        let (attention, mlp) = (&mut self.self_attn, &mut self.mlp);
        [
            ("self_attn.q_proj", &mut attention.q_proj),
            ("self_attn.k_proj", &mut attention.k_proj),
            ("self_attn.v_proj", &mut attention.v_proj),
            ("self_attn.o_proj", &mut attention.o_proj),
            ("mlp.gate_proj", &mut mlp.gate_proj),
            ("mlp.up_proj", &mut mlp.up_proj),
            ("mlp.down_proj", &mut mlp.down_proj),
        ]
    }
}

impl Transformer {
    /// The layers that may carry an adapter, with their paths: `layers.3.mlp.up_proj`.
    fn linears_mut(&mut self) -> impl Iterator<Item = (String, &mut Linear)> {
        self.layers.iter_mut().enumerate().flat_map(|(layer, block)| {
            let linears = block.linears_mut();
            linears.into_iter().map(move |(name, linear)| (format!("layers.{layer}.{name}"), linear))
        })
    }

    /// The model with a fresh adapter; nothing but the adapter is trained from here on. The adapter changes nothing
    /// until its first update, because `B` is zero. `A` is drawn as `peft` draws it: uniform within `±1/√in`.
    ///
    /// # Panics
    /// If the configuration fails [`LoraConfig::check`], or the model has an adapter already.
    #[must_use]
    pub fn with_adapter(self, config: &LoraConfig, seed: u64) -> Self {
        self.adapt(config, &mut |name, shape| {
            if name.ends_with("lora_B.weight") {
                return Ok::<_, std::convert::Infallible>(vec![0.0; shape[0] * shape[1]]);
            }
            // A stream per matrix, so that the targets don't move each other's numbers.
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ parameter_id(name).val());
            let bound = 1.0 / (shape[1] as f32).sqrt();
            Ok((0..shape[0] * shape[1]).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound).collect())
        })
        .unwrap_or_else(|never| match never {})
    }

    /// Adds the adapter whose values `values(name, shape)` gives under the names of `peft`.
    pub(crate) fn adapt<E>(
        self,
        config: &LoraConfig,
        values: &mut impl FnMut(&str, [usize; 2]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        if let Err(message) = config.check() {
            panic!("an adapter's configuration is checked before it is used: {message}");
        }
        let mut model = self.trainable(&|_| false);
        let device = model.device();
        for (path, linear) in model.linears_mut() {
            let target = path.rsplit('.').next().unwrap_or_default();
            if !config.targets.iter().any(|name| name == target) {
                continue;
            }
            assert!(linear.lora.is_none(), "one adapter at a time: merge the first");
            let [out, wide] = linear.weight.val().dims();
            let mut matrix = |letter: &str, shape: [usize; 2]| {
                let name = adapter_name(&path, letter);
                let values = values(&name, shape)?;
                Ok(parameter(&name, Tensor::from_data(TensorData::new(values, shape), &device)))
            };
            linear.lora = Some(Lora {
                a: matrix("A", [config.rank, wide])?,
                b: matrix("B", [out, config.rank])?,
                scale: config.alpha / config.rank as f64,
            });
        }
        Ok(model)
    }

    /// The base without its adapter: what a policy under LoRA started from, and the reference of its KL term.
    #[must_use]
    pub fn without_adapter(mut self) -> Self {
        self.linears_mut().for_each(|(_, linear)| linear.lora = None);
        self
    }

    /// The same function without an adapter: `W + (α/r)·B·A` in place of `W`.
    #[must_use]
    pub fn merged(mut self) -> Self {
        for (_, linear) in self.linears_mut() {
            if let Some(lora) = linear.lora.take() {
                linear.weight = linear.weight.clone().map(|weight| {
                    let tracked = weight.is_require_grad();
                    (weight.detach() + lora.update().detach()).set_require_grad(tracked)
                });
            }
        }
        self
    }

    /// Whether the layers that `config` names, and no others, have an adapter of its rank and scale.
    pub(crate) fn has_adapter_of(&self, config: &LoraConfig) -> bool {
        let scale = config.alpha / config.rank as f64;
        let mut model = self.clone();
        model.linears_mut().all(|(path, linear)| {
            let target = path.rsplit('.').next().unwrap_or_default();
            let wanted = config.targets.iter().any(|name| name == target);
            match &linear.lora {
                Some(lora) => wanted && lora.a.val().dims()[0] == config.rank && lora.scale == scale,
                None => !wanted,
            }
        })
    }

    /// The adapter's matrices under the names of `peft`; none without an adapter.
    pub(crate) fn adapter_matrices(&self) -> Vec<(String, Tensor<2>)> {
        let mut model = self.clone();
        model
            .linears_mut()
            .filter_map(|(path, linear)| Some((path, linear.lora.as_ref()?)))
            .flat_map(|(path, lora)| {
                [(adapter_name(&path, "A"), lora.a.val()), (adapter_name(&path, "B"), lora.b.val())]
            })
            .collect()
    }
}

fn adapter_name(path: &str, letter: &str) -> String {
    format!("base_model.model.model.{path}.lora_{letter}.weight")
}
