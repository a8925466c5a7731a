//! Building the network parameter by parameter, from random numbers or from a file: the one list of its tensors.

use std::hash::Hasher;

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use fnv::FnvHasher;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::attention::Attention;
use crate::config::ModelConfig;
use crate::linear::Linear;
use crate::mlp::Mlp;
use crate::norm::RmsNorm;
use crate::transformer::{Block, Embedding, Transformer};

/// Where the values of parameters come from.
pub(crate) trait ParameterSource {
    /// What can go wrong.
    type Error;

    /// Values of the parameter with this Hugging Face name, row by row.
    fn values(&mut self, name: &str, shape: &[usize], start: Start) -> Result<Vec<f32>, Self::Error>;
}

/// What a fresh parameter starts from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// Normal with this standard deviation.
    Normal(f64),
    /// All the same.
    Constant(f32),
}

/// Standard deviation of fresh weights, as in GPT-2 and Llama.
const STD: f64 = 0.02;

/// The id of a parameter is its name (FNV-1a), so that optimizer state finds its parameter in another process too.
pub fn parameter_id(name: &str) -> ParamId {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    ParamId::from(hasher.finish())
}

/// A parameter tracks gradients on a device that can.
pub(crate) fn parameter<const D: usize>(name: &str, values: Tensor<D>) -> Param<Tensor<D>> {
    let tracked = if values.device().is_autodiff() { values.require_grad() } else { values };
    Param::initialized(parameter_id(name), tracked)
}

struct Builder<'a, S> {
    source: &'a mut S,
    config: &'a ModelConfig,
    device: &'a Device,
}

impl<S: ParameterSource> Builder<'_, S> {
    fn matrix(&mut self, name: &str, shape: [usize; 2], std: f64) -> Result<Param<Tensor<2>>, S::Error> {
        let values = self.source.values(name, &shape, Start::Normal(std))?;
        Ok(parameter(name, Tensor::from_data(TensorData::new(values, shape), self.device)))
    }

    fn vector(&mut self, name: &str, width: usize, start: f32) -> Result<Param<Tensor<1>>, S::Error> {
        let values = self.source.values(name, &[width], Start::Constant(start))?;
        Ok(parameter(name, Tensor::from_data(TensorData::new(values, [width]), self.device)))
    }

    fn linear(&mut self, name: &str, shape: [usize; 2], bias: bool, std: f64) -> Result<Linear, S::Error> {
        Ok(Linear {
            weight: self.matrix(&format!("{name}.weight"), shape, std)?,
            bias: if bias { Some(self.vector(&format!("{name}.bias"), shape[0], 0.0)?) } else { None },
            lora: None,
        })
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<RmsNorm, S::Error> {
        Ok(RmsNorm { weight: self.vector(&format!("{name}.weight"), width, 1.0)?, eps: self.config.norm_eps })
    }

    fn attention(&mut self, at: &str, out_std: f64) -> Result<Attention, S::Error> {
        let (h, hidden) = (&self.config.heads, self.config.hidden_size);
        let (q, kv) = (h.query * h.dim, h.key_value * h.dim);
        Ok(Attention {
            q_proj: self.linear(&format!("{at}.q_proj"), [q, hidden], h.qkv_bias, STD)?,
            k_proj: self.linear(&format!("{at}.k_proj"), [kv, hidden], h.qkv_bias, STD)?,
            v_proj: self.linear(&format!("{at}.v_proj"), [kv, hidden], h.qkv_bias, STD)?,
            o_proj: self.linear(&format!("{at}.o_proj"), [hidden, q], h.output_bias, out_std)?,
            q_norm: if h.qk_norm { Some(self.norm(&format!("{at}.q_norm"), h.dim)?) } else { None },
            k_norm: if h.qk_norm { Some(self.norm(&format!("{at}.k_norm"), h.dim)?) } else { None },
        })
    }

    fn block(&mut self, layer: usize) -> Result<Block, S::Error> {
        let (hidden, wide) = (self.config.hidden_size, self.config.intermediate_size);
        // Layers that write to the residual stream start smaller, so that its variance doesn't grow with depth.
        let out_std = STD / (2.0 * self.config.num_layers as f64).sqrt();
        let (at, bias) = (format!("model.layers.{layer}"), self.config.mlp_bias);
        Ok(Block {
            input_layernorm: self.norm(&format!("{at}.input_layernorm"), hidden)?,
            self_attn: self.attention(&format!("{at}.self_attn"), out_std)?,
            post_attention_layernorm: self.norm(&format!("{at}.post_attention_layernorm"), hidden)?,
            mlp: Mlp {
                gate_proj: self.linear(&format!("{at}.mlp.gate_proj"), [wide, hidden], bias, STD)?,
                up_proj: self.linear(&format!("{at}.mlp.up_proj"), [wide, hidden], bias, STD)?,
                down_proj: self.linear(&format!("{at}.mlp.down_proj"), [hidden, wide], bias, out_std)?,
            },
        })
    }
}

/// Builds the network that a checked configuration describes.
pub(crate) fn build<S: ParameterSource>(
    config: &ModelConfig,
    source: &mut S,
    device: &Device,
) -> Result<Transformer, S::Error> {
    let (vocab, hidden) = (config.vocab_size, config.hidden_size);
    let mut b = Builder { source, config, device };
    Ok(Transformer {
        embed_tokens: Embedding { weight: b.matrix("model.embed_tokens.weight", [vocab, hidden], STD)? },
        layers: (0..config.num_layers).map(|layer| b.block(layer)).collect::<Result<_, _>>()?,
        norm: b.norm("model.norm", hidden)?,
        lm_head: if config.tied_embeddings {
            None
        } else {
            Some(b.linear("lm_head", [vocab, hidden], false, STD)?)
        },
        config: config.clone(),
        compute: None,
    })
}

struct Random(ChaCha8Rng);

impl ParameterSource for Random {
    type Error = std::convert::Infallible;

    fn values(&mut self, _name: &str, shape: &[usize], start: Start) -> Result<Vec<f32>, Self::Error> {
        let count = shape.iter().product();
        Ok(match start {
            Start::Constant(value) => vec![value; count],
            // Box–Muller.
            Start::Normal(std) => (0..count)
                .map(|_| {
                    let (u, v): (f64, f64) = (1.0 - self.0.random::<f64>(), self.0.random());
                    (std * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
                })
                .collect(),
        })
    }
}

impl Transformer {
    /// A model with random weights from a host generator: a seed means the same model on every backend.
    ///
    /// # Panics
    /// If the configuration fails [`ModelConfig::check`].
    pub fn random(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        if let Err(message) = config.check() {
            panic!("a configuration is checked before a model is made from it: {message}");
        }
        match build(config, &mut Random(ChaCha8Rng::seed_from_u64(seed)), device) {
            Ok(model) => model,
            Err(never) => match never {},
        }
    }
}
