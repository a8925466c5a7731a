//! Names, shapes and layout of tensors, in llama.cpp and in Hugging Face's folders.

use std::collections::BTreeSet;

use crate::architecture::QkNorms;
use crate::architecture::{AttentionBias, Shape};
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
    let (part, suffix) = rest.rsplit_once('.').ok_or_else(unknown)?;
    let layer: usize = layer.parse().map_err(|_| unknown())?;
    if layer >= shape.layers {
        return Err(format!("tensor {gguf} has no place in a model of {} layers", shape.layers));
    }
    let part = shape.parts(layer).into_iter().find(|known| known.gguf == part).ok_or_else(unknown)?;
    let expected = match (suffix, part.wide) {
        ("weight", Some(wide)) => part.stacked.into_iter().chain([part.out, wide]).collect(),
        ("weight", None) | ("bias", Some(_)) => vec![part.out],
        _ => return Err(unknown()),
    };
    Ok(Some((format!("model.layers.{layer}.{}.{suffix}", part.name), expected)))
}

/// The kernels of convolutions.
const KERNELS: &str = "shortconv.conv";

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
    for tensor in tensors {
        let Some((name, expected)) = place(&tensor.name, shape)? else { continue };
        if tensor.shape != expected {
            let TensorInfo { name, shape, .. } = tensor;
            return Err(format!("tensor {name} has shape {shape:?}, the metadata ask for {expected:?}"));
        }
        found.push((tensor, name));
    }
    let mut there: BTreeSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
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
    /// Returns whether a layer is a convolution.
    fn convolves(&self, layer: usize) -> bool {
        self.convolutions.as_ref().is_some_and(|all| all.layers.get(layer) == Some(&true))
    }

    /// Returns the tensors of a layer.
    fn parts(&self, layer: usize) -> Vec<Part> {
        let (query, key_value) = (self.heads * self.dim, self.key_value_heads * self.dim);
        let hidden = self.hidden;
        let inputs = self.attention_bias != AttentionBias::Nothing;
        let output = self.attention_bias == AttentionBias::All;
        let norm = |gguf, name, out| Part { gguf, name, stacked: None, out, wide: None, bias: false };
        let mut parts: Vec<Part> =
            self.architecture.norms.iter().map(|(gguf, name)| norm(gguf, name, hidden)).collect();
        let names = &self.architecture.names;
        if self.architecture.fused {
            parts.push(matrix("attn_qkv", "self_attn.qkv_proj", query + 2 * key_value, hidden, inputs));
        }
        parts.extend(self.feed_forward());
        if let Some(convolutions) = self.convolutions.as_ref().filter(|_| self.convolves(layer)) {
            parts.push(matrix("shortconv.in_proj", "conv.in_proj", 3 * hidden, hidden, false));
            parts.push(matrix("shortconv.out_proj", "conv.out_proj", hidden, hidden, false));
            parts.push(matrix(KERNELS, "conv.conv", hidden, convolutions.taps, false));
            return parts;
        }
        if !self.architecture.fused {
            parts.push(matrix("attn_q", "self_attn.q_proj", query, hidden, inputs));
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
        let of_layer = |convolves: bool| -> Vec<String> {
            let layer = (0..self.layers).find(|layer| self.convolves(*layer) == convolves);
            let of_part = |part: Part| {
                let bias = part.bias.then(|| format!("{}.bias", part.gguf));
                [Some(format!("{}.weight", part.gguf)), bias].into_iter().flatten()
            };
            layer.map(|layer| self.parts(layer)).into_iter().flatten().flat_map(of_part).collect()
        };
        let kinds = [of_layer(false), of_layer(true)];
        let ends = ["token_embd.weight", self.last_norm].map(String::from);
        let layer = move |layer: usize| {
            let names = &kinds[usize::from(self.convolves(layer))];
            names.iter().map(|name| format!("blk.{layer}.{name}")).collect::<Vec<_>>()
        };
        ends.into_iter().chain((0..self.layers).flat_map(layer))
    }

    /// Returns the number to take off a tensor's numbers: norms may lie around 1 in the file and around 0 in
    /// the folder.
    pub(crate) fn offset(&self, gguf: &str) -> f32 {
        if gguf.ends_with("norm.weight") { self.architecture.norm_offset } else { 0.0 }
    }

    /// Returns the size of a head, if the tensor's rows are in llama.cpp's order.
    pub(crate) fn interleaved(&self, gguf: &str) -> Option<usize> {
        let part = gguf.split('.').nth(2);
        (self.architecture.interleaved && matches!(part, Some("attn_q" | "attn_k"))).then_some(self.dim)
    }
}

/// Returns names and shapes of the folder's tensors whose numbers a tensor holds one behind the other: several
/// if it is a stack of experts. Kernels have a dimension of channels there.
pub(crate) fn in_folder(tensor: &TensorInfo, name: &str) -> Vec<(String, Vec<usize>)> {
    let mut shape = tensor.shape.clone();
    if tensor.name.strip_suffix(".weight").is_some_and(|name| name.ends_with(KERNELS)) {
        shape.insert(1, 1);
    }
    let Some((before, behind)) = name.split_once('*') else { return vec![(name.to_string(), shape)] };
    let experts = shape.remove(0);
    (0..experts).map(|expert| (format!("{before}{expert}{behind}"), shape.clone())).collect()
}

/// Returns the row of the file for a row of Hugging Face's order. For the llama architecture, llama.cpp
/// rotates neighbouring pairs of queries and keys, and Hugging Face the halves of a head. The rows of each
/// head are therefore interleaved in the file.
pub(crate) fn source_row(row: usize, dim: usize) -> usize {
    let (head, within) = (row / dim, row % dim);
    // Row `p · dim/2 + i` of the halves is row `2 i + p` of the pairs.
    let (half, pair) = (within / (dim / 2), within % (dim / 2));
    head * dim + 2 * pair + half
}
