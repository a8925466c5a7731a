//! Names, shapes and layout of tensors, in llama.cpp and in Hugging Face's folders.

use std::collections::BTreeSet;

use crate::config::{AttentionBias, Shape};
use crate::file::TensorInfo;

/// Hugging Face's name of a tensor, and the shape that it must have; none for one that holds no weights
/// (`rope_freqs`).
fn place(gguf: &str, shape: &Shape) -> Result<Option<(String, Vec<usize>)>, String> {
    let (whole, vocabulary) = (|name: &str| name.to_string(), vec![shape.vocabulary, shape.hidden]);
    match gguf {
        "token_embd.weight" => return Ok(Some((whole("model.embed_tokens.weight"), vocabulary))),
        "output_norm.weight" => return Ok(Some((whole("model.norm.weight"), vec![shape.hidden]))),
        "output.weight" => return Ok(Some((whole("lm_head.weight"), vocabulary))),
        "rope_freqs.weight" => return Ok(None),
        _ => {}
    }
    let unknown = || format!("tensor {gguf} has no place in a llama, qwen2 or qwen3 model");
    let rest = gguf.strip_prefix("blk.").ok_or_else(unknown)?;
    let (layer, rest) = rest.split_once('.').ok_or_else(unknown)?;
    let (part, suffix) = rest.split_once('.').ok_or_else(unknown)?;
    let layer: usize = layer.parse().map_err(|_| unknown())?;
    if layer >= shape.layers {
        return Err(format!("tensor {gguf} has no place in a model of {} layers", shape.layers));
    }
    let (query, key_value) = (shape.heads * shape.dim, shape.key_value_heads * shape.dim);
    let (hidden, inner) = (shape.hidden, shape.inner);
    let (name, out, wide) = match part {
        "attn_norm" => ("input_layernorm", hidden, None),
        "ffn_norm" => ("post_attention_layernorm", hidden, None),
        "attn_q" => ("self_attn.q_proj", query, Some(hidden)),
        "attn_k" => ("self_attn.k_proj", key_value, Some(hidden)),
        "attn_v" => ("self_attn.v_proj", key_value, Some(hidden)),
        "attn_output" => ("self_attn.o_proj", hidden, Some(query)),
        "attn_q_norm" => ("self_attn.q_norm", shape.dim, None),
        "attn_k_norm" => ("self_attn.k_norm", shape.dim, None),
        "ffn_gate" => ("mlp.gate_proj", inner, Some(hidden)),
        "ffn_up" => ("mlp.up_proj", inner, Some(hidden)),
        "ffn_down" => ("mlp.down_proj", hidden, Some(inner)),
        _ => return Err(unknown()),
    };
    let expected = match (suffix, wide) {
        ("weight", Some(wide)) => vec![out, wide],
        ("weight", None) | ("bias", Some(_)) => vec![out],
        _ => return Err(unknown()),
    };
    Ok(Some((format!("model.layers.{layer}.{name}.{suffix}"), expected)))
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
    match there.iter().find(|name| !["output.weight", "rope_freqs.weight"].contains(name)) {
        Some(name) => Err(format!("tensor {name} is there, and others of its kind are not")),
        None => Ok(found),
    }
}

impl Shape {
    /// Returns the names of the tensors of a model of this shape, without the output matrix.
    fn weights(&self) -> impl Iterator<Item = String> {
        let parts = [
            (true, "weight", &["attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v", "attn_output"][..]),
            (true, "weight", &["ffn_gate", "ffn_up", "ffn_down"]),
            (self.head_norms, "weight", &["attn_q_norm", "attn_k_norm"]),
            (self.attention_bias != AttentionBias::Nothing, "bias", &["attn_q", "attn_k", "attn_v"]),
            (self.attention_bias == AttentionBias::All, "bias", &["attn_output"]),
            (self.mlp_bias, "bias", &["ffn_gate", "ffn_up", "ffn_down"]),
        ];
        let layer = move |layer: usize| {
            let parts = parts.into_iter().filter(|(there, ..)| *there);
            parts.flat_map(move |(_, suffix, parts)| {
                parts.iter().map(move |part| format!("blk.{layer}.{part}.{suffix}"))
            })
        };
        let ends = ["token_embd.weight", "output_norm.weight"].map(String::from);
        ends.into_iter().chain((0..self.layers).flat_map(layer))
    }

    /// Returns the size of a head, if the tensor's rows are in llama.cpp's order.
    pub(crate) fn interleaved(&self, gguf: &str) -> Option<usize> {
        let part = gguf.split('.').nth(2);
        (self.interleaved && matches!(part, Some("attn_q" | "attn_k"))).then_some(self.dim)
    }
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
