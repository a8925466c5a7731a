//! Builds the network parameter by parameter, from random numbers or from a file: the one list of its
//! tensors.

use std::hash::Hasher;

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use fnv::FnvHasher;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::block::{AttentionConfig, BlockConfig, LinearShape};
use crate::config::ModelConfig;
use crate::layers::attention::Attention;
use crate::layers::linear::Linear;
use crate::layers::mlp::Mlp;
use crate::layers::norm::RmsNorm;
use crate::transformer::{Block, Embedding, Transformer};

/// Supplies the values of parameters.
pub(crate) trait ParameterSource {
    /// The error of reading a value.
    type Error;

    /// Returns the values of the parameter with this name on disk, row by row.
    fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, Self::Error>;
}

/// Initialises a fresh parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Init {
    /// Draws from a normal distribution with this standard deviation.
    Normal(f64),
    /// Sets every entry to this value.
    Constant(f32),
}

/// Standard deviation of fresh weights, as in GPT-2 and Llama.
const STD: f64 = 0.02;

/// Returns the id of a parameter, a hash of its name, so that another process finds its optimizer state.
pub fn parameter_id(name: &str) -> ParamId {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    ParamId::from(hasher.finish())
}

/// Makes a parameter; it tracks gradients on an autodiff device.
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
        let values = self.source.values(name, &shape, Init::Normal(std))?;
        Ok(parameter(name, Tensor::from_data(TensorData::new(values, shape), self.device)))
    }

    fn vector(&mut self, name: &str, width: usize, start: f32) -> Result<Param<Tensor<1>>, S::Error> {
        let values = self.source.values(name, &[width], Init::Constant(start))?;
        Ok(parameter(name, Tensor::from_data(TensorData::new(values, [width]), self.device)))
    }

    fn linear(&mut self, at: &str, shape: &LinearShape, std: f64) -> Result<Linear, S::Error> {
        let LinearShape { name, inputs, outputs, bias } = *shape;
        let weight = self.matrix(&format!("{at}{name}.weight"), [outputs, inputs], std)?;
        let bias = if bias { Some(self.vector(&format!("{at}{name}.bias"), outputs, 0.0)?) } else { None };
        Ok(Linear { weight, bias, lora: None })
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<RmsNorm, S::Error> {
        let offset = if self.config.norms_less_one { 1.0 } else { 0.0 };
        let weight = self.vector(&format!("{name}.weight"), width, 1.0 - offset as f32)?;
        Ok(RmsNorm { weight, eps: self.config.norm_eps, offset })
    }

    /// Builds a norm of the residual stream, if its place has one.
    fn norm_at(&mut self, at: &str, name: Option<&str>) -> Result<Option<RmsNorm>, S::Error> {
        name.map(|name| self.norm(&format!("{at}{name}"), self.config.hidden_size)).transpose()
    }

    fn block(&mut self, layer: usize) -> Result<Block, S::Error> {
        let config = self.config;
        let BlockConfig { norms, attention, .. } = &config.layers[layer];
        let linears = config.layers[layer].linears(config.hidden_size);
        // Layers that write to the residual stream start smaller, so its variance doesn't grow with depth.
        let out_std = STD / (2.0 * config.layers.len() as f64).sqrt();
        let at = &format!("model.layers.{layer}.");
        let mut linear = |name: &str, std: f64| {
            let shape = linears.iter().find(|shape| shape.name == name);
            shape.map(|shape| self.linear(at, shape, std)).transpose()
        };
        let always = "every block has this layer";
        let self_attn = Attention {
            q_proj: linear("self_attn.q_proj", STD)?,
            k_proj: linear("self_attn.k_proj", STD)?,
            v_proj: linear("self_attn.v_proj", STD)?,
            qkv_proj: linear("self_attn.qkv_proj", STD)?,
            o_proj: linear("self_attn.o_proj", out_std)?.expect(always),
            q_norm: None,
            k_norm: None,
        };
        let mlp = Mlp {
            gate_proj: linear("mlp.gate_proj", STD)?,
            up_proj: linear("mlp.up_proj", STD)?,
            gate_up_proj: linear("mlp.gate_up_proj", STD)?,
            down_proj: linear("mlp.down_proj", out_std)?.expect(always),
        };
        let [q_norm, k_norm] = self.qk_norms(at, attention)?;
        Ok(Block {
            before_attention: self.norm_at(at, norms.before_attention)?,
            self_attn: Attention { q_norm, k_norm, ..self_attn },
            after_attention: self.norm_at(at, norms.after_attention)?,
            before_mlp: self.norm_at(at, norms.before_mlp)?,
            mlp,
            after_mlp: self.norm_at(at, norms.after_mlp)?,
        })
    }

    fn qk_norms(&mut self, at: &str, attention: &AttentionConfig) -> Result<[Option<RmsNorm>; 2], S::Error> {
        let Some(kind) = attention.qk_norm else { return Ok([None, None]) };
        let [q, k] = kind.names().map(|name| format!("{at}self_attn.{name}"));
        let [q_width, k_width] = attention.qk_norm_widths();
        let mut norm =
            |name: &str, width: Option<usize>| width.map(|width| self.norm(name, width)).transpose();
        Ok([norm(&q, q_width)?, norm(&k, k_width)?])
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
        layers: (0..config.layers.len()).map(|layer| b.block(layer)).collect::<Result<_, _>>()?,
        norm: b.norm("model.norm", hidden)?,
        lm_head: if config.tied_embeddings {
            None
        } else {
            let shape = LinearShape { name: "lm_head", inputs: hidden, outputs: vocab, bias: false };
            Some(b.linear("", &shape, STD)?)
        },
        config: config.clone(),
        compute: None,
    })
}

struct Random(ChaCha8Rng);

impl ParameterSource for Random {
    type Error = std::convert::Infallible;

    fn values(&mut self, _name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, Self::Error> {
        let count = shape.iter().product();
        Ok(match init {
            Init::Constant(value) => vec![value; count],
            // Box–Muller.
            Init::Normal(std) => (0..count)
                .map(|_| {
                    let (u, v): (f64, f64) = (1.0 - self.0.random::<f64>(), self.0.random());
                    (std * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
                })
                .collect(),
        })
    }
}

impl Transformer {
    /// Makes a model with random weights.
    ///
    /// They come from a generator on the host, so a seed means the same model on every backend.
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
