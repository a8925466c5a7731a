//! Builds the network parameter by parameter, from random numbers or from a file: the one list of its
//! tensors.

use std::hash::Hasher;

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use fnv::FnvHasher;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::block::{
    AttentionConfig, DeltaNetConfig, LinearShape, Mixer, Names, OF_BLOCK, OF_EXPERT, ShortConvConfig,
};
use crate::config::ModelConfig;
use crate::layers::attention::Attention;
use crate::layers::delta_net::DeltaNet;
use crate::layers::linear::Linear;
use crate::layers::mlp::Mlp;
use crate::layers::moe::Moe;
use crate::layers::norm::RmsNorm;
use crate::layers::short_conv::{ShortConv, Taps};
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
    /// Draws the logarithm of a number between 0.01 and 16, as Qwen3.5's decays begin.
    LogUniform,
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
        self.vector_of(name, width, Init::Constant(start))
    }

    fn vector_of(&mut self, name: &str, width: usize, init: Init) -> Result<Param<Tensor<1>>, S::Error> {
        let values = self.source.values(name, &[width], init)?;
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
        let config = &self.config.layers[layer];
        let mut parts = Parts {
            at: format!("model.layers.{layer}."),
            names: config.names,
            linears: config.linears(self.config.hidden_size),
            // Layers that write to the residual stream start smaller, so its variance doesn't grow with
            // depth.
            out_std: STD / (2.0 * self.config.layers.len() as f64).sqrt(),
            builder: self,
        };
        let (mut self_attn, mut conv, mut linear_attn) = (None, None, None);
        match &config.mixer {
            Mixer::Attention(attention) => self_attn = Some(parts.attention(attention)?),
            Mixer::ShortConv(settings) => conv = Some(parts.short_conv(settings)?),
            Mixer::DeltaNet(settings) => linear_attn = Some(parts.delta_net(settings)?),
        }
        let (mlp, moe) = match &config.mlp.experts {
            None => (Some(parts.mlp(OF_BLOCK)?), None),
            Some(experts) => (None, Some(parts.moe(experts.count)?)),
        };
        let (at, norms) = (parts.at, &config.norms);
        Ok(Block {
            before_attention: self.norm_at(&at, norms.before_attention)?,
            self_attn,
            conv,
            linear_attn,
            after_attention: self.norm_at(&at, norms.after_attention)?,
            before_mlp: self.norm_at(&at, norms.before_mlp)?,
            mlp,
            moe,
            after_mlp: self.norm_at(&at, norms.after_mlp)?,
        })
    }
}

const WHOLE: &str = "the block has this layer";

/// Builds the layers of one block.
struct Parts<'a, 'b, S> {
    builder: &'a mut Builder<'b, S>,
    /// Path of the block, with a dot after it.
    at: String,
    names: Names,
    linears: Vec<LinearShape>,
    /// Standard deviation of layers that write to the residual stream.
    out_std: f64,
}

impl<S: ParameterSource> Parts<'_, '_, S> {
    /// Builds a layer that reads the residual stream, if the block has it.
    fn linear(&mut self, name: &'static str) -> Result<Option<Linear>, S::Error> {
        self.linear_of(name, STD)
    }

    /// Builds a layer that writes to the residual stream.
    fn output(&mut self, name: &'static str) -> Result<Linear, S::Error> {
        Ok(self.linear_of(name, self.out_std)?.expect(WHOLE))
    }

    fn linear_of(&mut self, name: &'static str, std: f64) -> Result<Option<Linear>, S::Error> {
        let shape = self.linears.iter().find(|shape| shape.name == self.names.of(name));
        shape.map(|shape| self.builder.linear(&self.at, shape, std)).transpose()
    }

    /// Builds a feed-forward layer from the names of its linear layers.
    fn mlp(&mut self, [gate, up, both, down]: [&'static str; 4]) -> Result<Mlp, S::Error> {
        Ok(Mlp {
            gate_proj: self.linear(gate)?,
            up_proj: self.linear(up)?,
            gate_up_proj: self.linear(both)?,
            down_proj: self.output(down)?,
        })
    }

    fn moe(&mut self, count: usize) -> Result<Moe, S::Error> {
        let (gate, block) = (self.linear("mlp.gate")?.expect(WHOLE), self.at.clone());
        let mut experts = Vec::with_capacity(count);
        for expert in 0..count {
            self.at = format!("{block}mlp.experts.{expert}.");
            experts.push(self.mlp(OF_EXPERT)?);
        }
        self.at = block;
        Ok(Moe { gate, experts })
    }

    fn attention(&mut self, config: &AttentionConfig) -> Result<Attention, S::Error> {
        Ok(Attention {
            q_proj: self.linear("self_attn.q_proj")?,
            k_proj: self.linear("self_attn.k_proj")?,
            v_proj: self.linear("self_attn.v_proj")?,
            qkv_proj: self.linear("self_attn.qkv_proj")?,
            o_proj: self.output("self_attn.o_proj")?,
            q_norm: self.qk_norm(config, 0)?,
            k_norm: self.qk_norm(config, 1)?,
        })
    }

    /// Builds the norm of q, or of k.
    fn qk_norm(&mut self, config: &AttentionConfig, which: usize) -> Result<Option<RmsNorm>, S::Error> {
        let name = config.qk_norm.map(|kind| ["self_attn.", kind.names()[which]].concat());
        let norm = name.zip(config.qk_norm_widths()[which]);
        norm.map(|(name, width)| self.builder.norm(&format!("{}{}", self.at, self.names.path(&name)), width))
            .transpose()
    }

    fn short_conv(&mut self, config: &ShortConvConfig) -> Result<ShortConv, S::Error> {
        let in_proj = self.linear("conv.in_proj")?.expect(WHOLE);
        let conv = self.taps("conv.conv", [config.width, config.taps], config.bias)?;
        Ok(ShortConv { in_proj, conv, out_proj: self.output("conv.out_proj")? })
    }

    fn delta_net(&mut self, config: &DeltaNetConfig) -> Result<DeltaNet, S::Error> {
        let [in_proj_qkv, in_proj_z, in_proj_b, in_proj_a] = [
            self.linear("linear_attn.in_proj_qkv")?.expect(WHOLE),
            self.linear("linear_attn.in_proj_z")?.expect(WHOLE),
            self.linear("linear_attn.in_proj_b")?.expect(WHOLE),
            self.linear("linear_attn.in_proj_a")?.expect(WHOLE),
        ];
        let conv1d = self.taps("linear_attn.conv1d", [config.conv_width(), config.taps], false)?;
        let (heads, at) = (config.value_heads, self.at.clone());
        let a_log = format!("{at}{}", self.names.of("linear_attn.a_log"));
        let norm = format!("{at}linear_attn.norm.weight");
        Ok(DeltaNet {
            in_proj_qkv,
            in_proj_z,
            in_proj_b,
            in_proj_a,
            conv1d,
            dt_bias: self.builder.vector(&format!("{at}linear_attn.dt_bias"), heads, 1.0)?,
            a_log: self.builder.vector_of(&a_log, heads, Init::LogUniform)?,
            // Its weight lies around 1 in every family.
            norm: RmsNorm {
                weight: self.builder.vector(&norm, config.value_dim, 1.0)?,
                eps: self.builder.config.norm_eps,
                offset: 0.0,
            },
            out_proj: self.output("linear_attn.out_proj")?,
        })
    }

    /// Builds a convolution of each channel.
    fn taps(&mut self, name: &str, [channels, taps]: [usize; 2], bias: bool) -> Result<Taps, S::Error> {
        let (at, shape) = (format!("{}{name}", self.at), [channels, 1, taps]);
        let name = format!("{at}.weight");
        // As in `torch`, whose bound of a uniform distribution has this standard deviation.
        let init = Init::Normal((1.0 / (3.0 * taps as f64)).sqrt());
        let values = self.builder.source.values(&name, &shape, init)?;
        let weight = parameter(&name, Tensor::from_data(TensorData::new(values, shape), self.builder.device));
        let bias = bias.then(|| self.builder.vector(&format!("{at}.bias"), channels, 0.0)).transpose()?;
        Ok(Taps { weight, bias })
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
        norm: b.norm(&format!("model.{}", config.layers[0].names.of("norm")), hidden)?,
        lm_head: if config.tied_embeddings {
            None
        } else {
            let shape = LinearShape { name: "lm_head", inputs: hidden, outputs: vocab, bias: false };
            Some(b.linear("", &shape, STD)?)
        },
        config: config.clone(),
        compute: None,
        balance: 0.0,
    })
}

struct Random(ChaCha8Rng);

impl ParameterSource for Random {
    type Error = std::convert::Infallible;

    fn values(&mut self, _name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>, Self::Error> {
        let count = shape.iter().product();
        Ok(match init {
            Init::Constant(value) => vec![value; count],
            Init::LogUniform => {
                (0..count).map(|_| (0.01 + 15.99 * self.0.random::<f64>()).ln() as f32).collect()
            }
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
