//! Names, shapes and layout of tensors, in llama.cpp and in Hugging Face's folders.

use std::collections::BTreeSet;

use crate::architecture::{AttentionBias, DeltaNet, Mixers, Other, QkNorms, Shape};
use crate::file::TensorInfo;

/// Tensors that hold no weights.
const NO_WEIGHTS: [&str; 3] = ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"];

/// Hugging Face's name of a tensor, and the shape that it must have; none for one that holds no weights.
fn place(gguf: &str, shape: &Shape) -> Result<Option<(String, Vec<usize>)>, String> {
    let (whole, vocabulary) = (|name: &str| name.to_string(), vec![shape.vocabulary, shape.hidden]);
    match gguf {
        "token_embd.weight" => return Ok(Some((whole("model.embed_tokens.weight"), vocabulary))),
        name if name == shape.last_norm => {
            let name = format!("{}.weight", shape.architecture.names.last_norm);
            return Ok(Some((name, vec![shape.hidden])));
        }
        "output.weight" => return Ok(Some((whole("lm_head.weight"), vocabulary))),
        _ if NO_WEIGHTS.contains(&gguf) => return Ok(None),
        _ => {}
    }
    let unknown = || format!("tensor {gguf} has no place in a model of {}", shape.architecture.name);
    let rest = gguf.strip_prefix("blk.").ok_or_else(unknown)?;
    let (layer, rest) = rest.split_once('.').ok_or_else(unknown)?;
    let layer: usize = layer.parse().map_err(|_| unknown())?;
    if layer >= shape.layers {
        return Err(format!("tensor {gguf} has no place in a model of {} layers", shape.layers));
    }
    if let Some((_, name)) = HEADS.iter().find(|(theirs, _)| shape.is_linear(layer) && *theirs == rest) {
        let heads = shape.delta_net().map(|delta| delta.value_heads);
        return Ok(Some((format!("model.layers.{layer}.{name}"), heads.into_iter().collect())));
    }
    let (part, suffix) = rest.rsplit_once('.').ok_or_else(unknown)?;
    let part = shape.parts(layer).into_iter().find(|known| known.gguf == part).ok_or_else(unknown)?;
    let expected = match (suffix, part.wide) {
        ("weight", Some(wide)) => part.stacked.into_iter().chain([part.out, wide]).collect(),
        ("weight", None) | ("bias", Some(_)) => vec![part.out],
        _ => return Err(unknown()),
    };
    Ok(Some((format!("model.layers.{layer}.{}.{suffix}", part.name), expected)))
}

/// The kernels of convolutions.
const KERNELS: [&str; 2] = ["shortconv.conv", "ssm_conv1d"];

/// Tensors of a number per head of values, in the file and in the folder.
const HEADS: [(&str, &str); 2] = [(DECAYS, "linear_attn.A_log"), ("ssm_dt.bias", "linear_attn.dt_bias")];

/// Decays, `-exp(A)` of a folder's `A`.
const DECAYS: &str = "ssm_a";

/// A tensor of a layer.
struct Part {
    gguf: &'static str,
    /// Hugging Face's name; `*` is the number of an expert.
    name: &'static str,
    /// Number of experts whose matrices are in it.
    stacked: Option<usize>,
    /// Numbers of an output.
    out: usize,
    /// Numbers of an input, of a matrix.
    wide: Option<usize>,
    bias: bool,
}

fn norm(gguf: &'static str, name: &'static str, out: usize) -> Part {
    Part { gguf, name, stacked: None, out, wide: None, bias: false }
}

fn matrix(gguf: &'static str, name: &'static str, out: usize, wide: usize, bias: bool) -> Part {
    Part { gguf, name, stacked: None, out, wide: Some(wide), bias }
}

/// Returns the tensors that hold weights, with their new names. Fails unless they are all those of the model,
/// in its shapes.
pub(crate) fn placed<'a>(
    tensors: &'a [TensorInfo],
    shape: &Shape,
) -> Result<Vec<(&'a TensorInfo, String)>, String> {
    let mut found = Vec::new();
    let kept = || tensors.iter().filter(|tensor| !shape.is_ahead(&tensor.name));
    for tensor in kept() {
        let Some((name, expected)) = place(&tensor.name, shape)? else { continue };
        if tensor.shape != expected {
            let TensorInfo { name, shape, .. } = tensor;
            return Err(format!("tensor {name} has shape {shape:?}, the metadata ask for {expected:?}"));
        }
        found.push((tensor, name));
    }
    let mut there: BTreeSet<&str> = kept().map(|tensor| tensor.name.as_str()).collect();
    for name in shape.weights() {
        if !there.remove(name.as_str()) {
            return Err(format!("tensor {name} is missing"));
        }
    }
    match there.iter().find(|name| **name != "output.weight" && !NO_WEIGHTS.contains(name)) {
        Some(name) => Err(format!("tensor {name} is there, and others of its kind are not")),
        None => Ok(found),
    }
}

impl Shape {
    /// Returns whether a tensor is one of the layers that predict several tokens.
    fn is_ahead(&self, gguf: &str) -> bool {
        let layer = gguf.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse().ok());
        layer.is_some_and(|layer: usize| (self.layers..self.layers + self.ahead).contains(&layer))
    }

    /// Returns whether a layer is one without attention.
    fn lacks_attention(&self, layer: usize) -> bool {
        self.others.as_ref().is_some_and(|all| all.layers.get(layer) == Some(&true))
    }

    /// Returns whether a layer is a gated DeltaNet.
    fn is_linear(&self, layer: usize) -> bool {
        self.delta_net().is_some() && self.lacks_attention(layer)
    }

    fn delta_net(&self) -> Option<DeltaNet> {
        match self.others.as_ref()?.kind {
            Other::DeltaNet(delta) => Some(delta),
            Other::Convolution { .. } => None,
        }
    }

    /// Returns the tensors of a layer.
    fn parts(&self, layer: usize) -> Vec<Part> {
        let (query, key_value) = (self.heads * self.dim, self.key_value_heads * self.dim);
        let hidden = self.hidden;
        let inputs = self.attention_bias != AttentionBias::Nothing;
        let output = self.attention_bias == AttentionBias::All;
        let mut parts: Vec<Part> =
            self.architecture.norms.iter().map(|(gguf, name)| norm(gguf, name, hidden)).collect();
        let names = &self.architecture.names;
        if self.architecture.fused {
            parts.push(matrix("attn_qkv", "self_attn.qkv_proj", query + 2 * key_value, hidden, inputs));
        }
        parts.extend(self.feed_forward());
        if let Some(others) = self.others.as_ref().filter(|_| self.lacks_attention(layer)) {
            parts.extend(other_parts(others.kind, hidden));
            return parts;
        }
        if !self.architecture.fused {
            let gated = self.architecture.mixers == Mixers::DeltaNets;
            let projected = if gated { 2 * query } else { query };
            parts.push(matrix("attn_q", "self_attn.q_proj", projected, hidden, inputs));
            parts.push(matrix("attn_k", "self_attn.k_proj", key_value, hidden, inputs));
            parts.push(matrix("attn_v", "self_attn.v_proj", key_value, hidden, inputs));
        }
        parts.push(matrix("attn_output", names.output, hidden, query, output));
        let (of_queries, of_keys) = match self.architecture.qk_norms {
            QkNorms::Nothing => return parts,
            QkNorms::PerHead => (self.dim, self.dim),
            QkNorms::FullWidth => (query, key_value),
        };
        parts.push(norm("attn_q_norm", names.query_norm, of_queries));
        parts.push(norm("attn_k_norm", names.key_norm, of_keys));
        parts
    }

    /// Returns the tensors of a layer's MLP, or of its experts.
    fn feed_forward(&self) -> Vec<Part> {
        let (hidden, inner, names) = (self.hidden, self.inner, &self.architecture.names);
        if let Some(count) = self.experts {
            let stack =
                |gguf, name, out, wide| Part { stacked: Some(count), ..matrix(gguf, name, out, wide, false) };
            return vec![
                matrix("ffn_gate_inp", "mlp.gate", count, hidden, false),
                stack("ffn_gate_exps", "mlp.experts.*.gate_proj", inner, hidden),
                stack("ffn_up_exps", "mlp.experts.*.up_proj", inner, hidden),
                stack("ffn_down_exps", "mlp.experts.*.down_proj", hidden, inner),
            ];
        }
        let mut parts = if self.architecture.fused {
            vec![matrix("ffn_up", "mlp.gate_up_proj", 2 * inner, hidden, self.mlp_bias)]
        } else {
            vec![
                matrix("ffn_gate", names.gate, inner, hidden, self.mlp_bias),
                matrix("ffn_up", names.up, inner, hidden, self.mlp_bias),
            ]
        };
        parts.push(matrix("ffn_down", names.down, hidden, inner, self.mlp_bias));
        parts
    }

    /// Returns the names of the tensors of a model of this shape, without the output matrix.
    fn weights(&self) -> impl Iterator<Item = String> {
        let of_layer = |lacks: bool| -> Vec<String> {
            let layer = (0..self.layers).find(|layer| self.lacks_attention(*layer) == lacks);
            let heads = HEADS.iter().filter(|_| layer.is_some_and(|layer| self.is_linear(layer)));
            let heads = heads.map(|(name, _)| (*name).to_string());
            let of_part = |part: Part| {
                let bias = part.bias.then(|| format!("{}.bias", part.gguf));
                [Some(format!("{}.weight", part.gguf)), bias].into_iter().flatten()
            };
            let parts = layer.map(|layer| self.parts(layer)).into_iter().flatten();
            parts.flat_map(of_part).chain(heads).collect()
        };
        let kinds = [of_layer(false), of_layer(true)];
        let ends = ["token_embd.weight", self.last_norm].map(String::from);
        let layer = move |layer: usize| {
            let names = &kinds[usize::from(self.lacks_attention(layer))];
            names.iter().map(|name| format!("blk.{layer}.{name}")).collect::<Vec<_>>()
        };
        ends.into_iter().chain((0..self.layers).flat_map(layer))
    }

    /// Returns the number to take off a tensor's numbers: norms may lie around 1 in the file and around 0 in
    /// the folder.
    pub(crate) fn offset(&self, gguf: &str) -> f32 {
        // That of linear attention lies around 1 in both.
        let moved = gguf.ends_with("norm.weight") && !gguf.ends_with("ssm_norm.weight");
        if moved { self.architecture.norm_offset } else { 0.0 }
    }
}

/// Returns the tensors of a layer without attention, except those of `HEADS`.
fn other_parts(kind: Other, hidden: usize) -> Vec<Part> {
    match kind {
        Other::Convolution { taps } => vec![
            matrix("shortconv.in_proj", "conv.in_proj", 3 * hidden, hidden, false),
            matrix("shortconv.out_proj", "conv.out_proj", hidden, hidden, false),
            matrix(KERNELS[0], "conv.conv", hidden, taps, false),
        ],
        Other::DeltaNet(DeltaNet { key_heads, value_heads, key_dim, value_dim, taps }) => {
            let values = value_heads * value_dim;
            let all = 2 * key_heads * key_dim + values;
            vec![
                matrix("attn_qkv", "linear_attn.in_proj_qkv", all, hidden, false),
                matrix("attn_gate", "linear_attn.in_proj_z", values, hidden, false),
                matrix("ssm_beta", "linear_attn.in_proj_b", value_heads, hidden, false),
                matrix("ssm_alpha", "linear_attn.in_proj_a", value_heads, hidden, false),
                matrix(KERNELS[1], "linear_attn.conv1d", all, taps, false),
                norm("ssm_norm", "linear_attn.norm", value_dim),
                matrix("ssm_out", "linear_attn.out_proj", hidden, values, false),
            ]
        }
    }
}

/// Returns whether a tensor holds decays.
pub(crate) fn holds_decays(gguf: &str) -> bool {
    gguf.split('.').nth(2) == Some(DECAYS)
}

/// Returns names and shapes of the folder's tensors whose numbers a tensor holds one after the other:
/// several if it is a stack of experts. Kernels have a dimension of channels there.
pub(crate) fn in_folder(tensor: &TensorInfo, name: &str) -> Vec<(String, Vec<usize>)> {
    let mut shape = tensor.shape.clone();
    let name_of_layer = tensor.name.strip_suffix(".weight").unwrap_or_default();
    if KERNELS.iter().any(|kernels| name_of_layer.ends_with(kernels)) {
        shape.insert(1, 1);
    }
    let Some((before, behind)) = name.split_once('*') else { return vec![(name.to_string(), shape)] };
    let experts = shape.remove(0);
    (0..experts).map(|expert| (format!("{before}{expert}{behind}"), shape.clone())).collect()
}
