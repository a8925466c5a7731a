//! LoRA on a whole model: adds an adapter, removes it, merges it into the weights.

use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::block::target;
use crate::build::{parameter, parameter_id};
use crate::layers::linear::Linear;
use crate::layers::lora::{Lora, LoraConfig};
use crate::layers::mlp::Mlp;
use crate::transformer::{Block, Transformer};

impl Block {
    /// Lists the layers, by their paths in most families.
    fn linears_mut(&mut self) -> Vec<(String, &mut Linear)> {
        let mut all = Vec::new();
        if let Some(a) = &mut self.self_attn {
            all.extend([
                ("self_attn.q_proj", a.q_proj.as_mut()),
                ("self_attn.k_proj", a.k_proj.as_mut()),
                ("self_attn.v_proj", a.v_proj.as_mut()),
                ("self_attn.qkv_proj", a.qkv_proj.as_mut()),
                ("self_attn.o_proj", Some(&mut a.o_proj)),
            ]);
        }
        if let Some(conv) = &mut self.conv {
            all.extend([
                ("conv.in_proj", Some(&mut conv.in_proj)),
                ("conv.out_proj", Some(&mut conv.out_proj)),
            ]);
        }
        if let Some(delta) = &mut self.linear_attn {
            all.extend([
                ("linear_attn.in_proj_qkv", Some(&mut delta.in_proj_qkv)),
                ("linear_attn.in_proj_z", Some(&mut delta.in_proj_z)),
                ("linear_attn.in_proj_b", Some(&mut delta.in_proj_b)),
                ("linear_attn.in_proj_a", Some(&mut delta.in_proj_a)),
                ("linear_attn.out_proj", Some(&mut delta.out_proj)),
            ]);
        }
        let named = all.into_iter().filter_map(|(name, linear)| Some((name.to_string(), linear?)));
        let mlp = self.mlp.iter_mut().flat_map(|mlp| mlp.linears_mut("mlp"));
        let experts = self.moe.iter_mut().flat_map(|moe| moe.experts.iter_mut().enumerate());
        let experts = experts.flat_map(|(at, expert)| expert.linears_mut(&format!("mlp.experts.{at}")));
        named.chain(mlp).chain(experts).collect()
    }
}

impl Mlp {
    /// Lists the layers, by their paths after `at`.
    fn linears_mut(&mut self, at: &str) -> Vec<(String, &mut Linear)> {
        let all = [
            ("gate_proj", self.gate_proj.as_mut()),
            ("up_proj", self.up_proj.as_mut()),
            ("gate_up_proj", self.gate_up_proj.as_mut()),
            ("down_proj", Some(&mut self.down_proj)),
        ];
        all.into_iter().filter_map(|(name, linear)| Some((format!("{at}.{name}"), linear?))).collect()
    }
}

impl Transformer {
    /// Lists the layers that may carry an adapter, with their paths: `layers.3.mlp.up_proj`.
    fn linears_mut(&mut self) -> impl Iterator<Item = (String, &mut Linear)> {
        let configs = &self.config.layers;
        self.layers.iter_mut().zip(configs).enumerate().flat_map(|(layer, (block, config))| {
            let linears = block.linears_mut().into_iter();
            linears
                .map(move |(name, linear)| (format!("layers.{layer}.{}", config.names.path(&name)), linear))
        })
    }

    /// Adds a fresh adapter and freezes all other parameters.
    ///
    /// The model computes the same until the first update, because `B` is zero. `A` is uniform within
    /// `±1/√in`, as in `peft`.
    ///
    /// # Panics
    /// If the configuration fails [`LoraConfig::check`], or the model has an adapter already.
    #[must_use]
    pub fn with_adapter(self, config: &LoraConfig, seed: u64) -> Self {
        self.adapt(config, &mut |name, shape| {
            if name.ends_with("lora_B.weight") {
                return Ok::<_, std::convert::Infallible>(vec![0.0; shape[0] * shape[1]]);
            }
            // Each matrix has its own stream, so the choice of targets doesn't change the numbers of the
            // others.
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ parameter_id(name).val());
            let bound = 1.0 / (shape[1] as f32).sqrt();
            Ok((0..shape[0] * shape[1]).map(|_| (2.0 * rng.random::<f32>() - 1.0) * bound).collect())
        })
        .unwrap_or_else(|never| match never {})
    }

    /// Adds an adapter with the values that `values(name, shape)` returns for the names of `peft`.
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
            if !config.adapts(target(&path)) {
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

    /// Removes the adapter.
    ///
    /// The result is the model that a policy under LoRA started from, and the reference of its KL term.
    #[must_use]
    pub fn without_adapter(mut self) -> Self {
        self.linears_mut().for_each(|(_, linear)| linear.lora = None);
        self
    }

    /// Merges the adapter into the weights: `W + (α/r)·B·A` replaces `W`.
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

    /// Returns whether exactly the layers that `config` names have an adapter, with its rank and scale.
    pub(crate) fn has_adapter_of(&self, config: &LoraConfig) -> bool {
        let scale = config.alpha / config.rank as f64;
        let mut model = self.clone();
        model.linears_mut().all(|(path, linear)| {
            let wanted = config.adapts(target(&path));
            match &linear.lora {
                Some(lora) => wanted && lora.a.val().dims()[0] == config.rank && lora.scale == scale,
                None => !wanted,
            }
        })
    }

    /// Returns the names of the layers with an adapter, each once: those of `config`, then others.
    pub(crate) fn adapted_layers(&self, config: &LoraConfig) -> Vec<String> {
        let mut model = self.clone();
        let adapted = model.linears_mut().filter(|(_, linear)| linear.lora.is_some());
        let found: Vec<String> = adapted.map(|(path, _)| target(&path).to_string()).collect();
        let mut names: Vec<String> =
            config.targets.iter().filter(|name| found.contains(name)).cloned().collect();
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the adapter's matrices under the names of `peft`; empty without an adapter.
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
