//! Makes `config.json` of the metadata.

use serde_json::{Map, Value as Json, json};

use crate::architecture::{AttentionBias, DeltaNet, Keys, LARGEST, Mixers, Other, Others, Shape};
use crate::architectures::named;
use crate::file::GgufFile;

/// Returns the configuration and the layout that belongs to it. `dtype` is the stored element type.
pub(crate) fn config(file: &GgufFile, dtype: &str) -> Result<(Json, Shape), String> {
    let name = file.metadata.text("general.architecture")?.unwrap_or("none");
    let architecture = named(name)?;
    let keys = Keys { file, architecture };
    let shape = shape(&keys)?;
    let tied = !has(file, "output.weight");
    let mut config = json!({
        "architectures": [architecture.class],
        "model_type": architecture.family,
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "head_dim": shape.dim,
        "max_position_embeddings": keys.size("context_length")?,
        "rms_norm_eps": epsilon(&keys)?,
        "rope_theta": keys.base("rope.freq_base")?,
        "hidden_act": "silu",
        "tie_word_embeddings": tied,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": true,
        "dtype": dtype,
    });
    let object = config.as_object_mut().expect("an object was just made");
    object.insert("attention_bias".into(), (shape.attention_bias == AttentionBias::All).into());
    (architecture.keys)(&keys, &shape, object)?;
    let rotated = keys.rotated(shape.dim)?;
    if rotated != shape.dim && !object.contains_key("partial_rotary_factor") {
        let (key, family) = (keys.key("rope.dimension_count"), architecture.family);
        return Err(format!("{key} = {rotated}: {family} rotates whole heads, which are of {}", shape.dim));
    }
    object.extend(scaling(&keys, shape.dim)?);
    object.extend(ends(file)?);
    Ok((config, shape))
}

/// Reads what norms add under the root.
fn epsilon(keys: &Keys<'_>) -> Result<f64, String> {
    const NAME: &str = "attention.layer_norm_rms_epsilon";
    match keys.number(NAME)? {
        Some(epsilon) if epsilon > 0.0 && epsilon < 1.0 => Ok(epsilon),
        Some(epsilon) => Err(format!("{} = {epsilon} is not between 0 and 1", keys.key(NAME))),
        None => Err(format!("{} is missing", keys.key(NAME))),
    }
}

/// Reads sizes from the metadata, and the biases that the file has.
fn shape(keys: &Keys<'_>) -> Result<Shape, String> {
    let file = keys.file;
    let (heads, key_value_heads, dim) = attention(keys)?;
    let embedding = file.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
    // After the layers there may be others that predict several tokens.
    let ahead = keys.optional_size("nextn_predict_layers")?.unwrap_or(0);
    let layers = keys.size("block_count")?.checked_sub(ahead).filter(|layers| *layers > 0);
    let layers =
        layers.ok_or_else(|| format!("{} leaves no layer", keys.key("nextn_predict_layers")))? as usize;
    let last_norm = keys.architecture.last_norms.iter().copied().find(|name| has(file, name));
    Ok(Shape {
        architecture: keys.architecture,
        vocabulary: embedding.ok_or("tensor token_embd.weight is missing")?.rows(),
        hidden: keys.size("embedding_length")? as usize,
        inner: inner(keys)? as usize,
        layers,
        ahead: ahead as usize,
        heads: heads as usize,
        key_value_heads: key_value_heads as usize,
        dim: dim as usize,
        attention_bias: match keys.architecture.name {
            "qwen2" => AttentionBias::Inputs,
            _ if has(file, "blk.0.attn_q.bias") => AttentionBias::All,
            _ => AttentionBias::Nothing,
        },
        mlp_bias: keys.architecture.interleaved && has(file, "blk.0.ffn_up.bias"),
        others: others(keys, layers)?,
        experts: experts(keys)?,
        last_norm: last_norm.unwrap_or("output_norm.weight"),
    })
}

/// Returns the layers without attention.
fn others(keys: &Keys<'_>, layers: usize) -> Result<Option<Others>, String> {
    if keys.architecture.mixers == Mixers::DeltaNets {
        let every = keys.optional_size("full_attention_interval")?.unwrap_or(4) as usize;
        let tensors = keys.file.tensors.len();
        if layers > tensors {
            return Err(format!("{} = {layers}, and there are {tensors} tensors", keys.key("block_count")));
        }
        let is_linear = (1..=layers).map(|layer| !layer.is_multiple_of(every));
        return Ok(Some(Others { layers: is_linear.collect(), kind: Other::DeltaNet(delta_net(keys)?) }));
    }
    if keys.architecture.mixers == Mixers::Attention {
        return Ok(None);
    }
    // They have no heads of keys.
    let heads = keys.list("attention.head_count_kv")?.unwrap_or_default();
    if heads.len() != layers {
        let key = keys.key("attention.head_count_kv");
        return Err(format!("{key} has {} numbers for {layers} layers", heads.len()));
    }
    let taps = keys.size("shortconv.l_cache")? as usize;
    let layers = heads.iter().map(|heads| *heads == 0).collect();
    Ok(Some(Others { layers, kind: Other::Convolution { taps } }))
}

/// Reads the sizes of gated DeltaNets. A file has that of all heads of values together.
fn delta_net(keys: &Keys<'_>) -> Result<DeltaNet, String> {
    let size = |name: &str| keys.size(name).map(|size| size as usize);
    let (key_heads, value_heads) = (size("ssm.group_count")?, size("ssm.time_step_rank")?);
    let (key_dim, all, taps) = (size("ssm.state_size")?, size("ssm.inner_size")?, size("ssm.conv_kernel")?);
    let whole = value_heads.is_multiple_of(key_heads) && all.is_multiple_of(value_heads);
    if !whole || key_heads.saturating_mul(key_dim) > LARGEST as usize {
        return Err(format!(
            "{value_heads} heads of {all} values together, with {key_heads} for keys, make no linear attention"
        ));
    }
    Ok(DeltaNet { key_heads, value_heads, key_dim, value_dim: all / value_heads, taps })
}

/// Returns the number of experts of each layer.
fn experts(keys: &Keys<'_>) -> Result<Option<usize>, String> {
    const COUNT: &str = "expert_count";
    match (keys.architecture.experts, keys.optional_size(COUNT)?) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(format!("{}: mixtures of experts are not supported", keys.key(COUNT))),
        (true, _) => Ok(Some(keys.size(COUNT)? as usize)),
    }
}

/// Returns the width of an MLP or, if there are experts, of one of them.
fn inner(keys: &Keys<'_>) -> Result<u64, String> {
    let of_expert =
        if keys.architecture.experts { keys.optional_size("expert_feed_forward_length")? } else { None };
    of_expert.map_or_else(|| keys.size("feed_forward_length"), Ok)
}

/// Heads, those of keys and values, and their size.
fn attention(keys: &Keys<'_>) -> Result<(u64, u64, u64), String> {
    let (hidden, heads) = (keys.size("embedding_length")?, keys.size("attention.head_count")?);
    let key_value_heads = keys.key_value_heads()?.unwrap_or(heads);
    let dim = keys.optional_size("attention.key_length")?.unwrap_or(hidden / heads);
    let odd = dim == 0 || !dim.is_multiple_of(2) || !heads.is_multiple_of(key_value_heads);
    if odd || heads * dim > LARGEST {
        return Err(format!("{heads} heads of size {dim} with {key_value_heads} for keys make no attention"));
    }
    Ok((heads, key_value_heads, dim))
}

fn has(file: &GgufFile, name: &str) -> bool {
    file.tensors.iter().any(|tensor| tensor.name == name)
}

/// Returns the ids of tokens that begin, end and pad a text. A second end, of a turn, is listed with the
/// first.
pub(crate) fn ends(file: &GgufFile) -> Result<Map<String, Json>, String> {
    let id = |name: &str| file.metadata.size(&format!("tokenizer.ggml.{name}_token_id"));
    let mut ends: Vec<u64> = id("eos")?.into_iter().collect();
    ends.extend(id("eot")?.filter(|turn| !ends.contains(turn)));
    let mut found = Map::new();
    if let Some(bos) = id("bos")? {
        found.insert("bos_token_id".into(), bos.into());
    }
    match ends.as_slice() {
        [] => {}
        [end] => drop(found.insert("eos_token_id".into(), (*end).into())),
        several => drop(found.insert("eos_token_id".into(), several.into())),
    }
    if let Some(pad) = id("padding")? {
        found.insert("pad_token_id".into(), pad.into());
    }
    Ok(found)
}

/// Returns the scaling of positions from the keys, or for Llama 3 from the file's tensor of factors.
fn scaling(keys: &Keys<'_>, dim: usize) -> Result<Map<String, Json>, String> {
    let file = keys.file;
    let kind = file.metadata.text(&keys.key("rope.scaling.type"))?.unwrap_or("none");
    let factor = keys.number("rope.scaling.factor")?;
    let original = file.metadata.size(&keys.key("rope.scaling.original_context_length"))?;
    if let Some(factor) = factor.filter(|factor| *factor < 1.0 && matches!(kind, "linear" | "yarn")) {
        return Err(format!("{} = {factor} is not at least 1", keys.key("rope.scaling.factor")));
    }
    let scaling = match (kind, factor) {
        ("linear", Some(factor)) => json!({"rope_type": "linear", "factor": factor}),
        ("yarn", Some(factor)) => json!({
            "rope_type": "yarn",
            "factor": factor,
            "original_max_position_embeddings": original.ok_or("yarn lacks its original context length")?,
        }),
        ("none" | "linear" | "yarn", _) => {
            match file.tensors.iter().find(|t| t.name == "rope_freqs.weight") {
                Some(tensor) if tensor.shape != [dim / 2] => {
                    return Err(format!("rope_freqs.weight has shape {:?}, not [{}]", tensor.shape, dim / 2));
                }
                Some(tensor) => {
                    let factors = file.values(tensor).map_err(|error| error.to_string())?;
                    llama3(keys.base("rope.freq_base")?, dim, &factors)?
                }
                None => return Ok(Map::new()),
            }
        }
        (other, _) => return Err(format!("rope scaling \"{other}\" is not supported")),
    };
    Ok([("rope_scaling".to_string(), scaling)].into_iter().collect())
}

/// Returns Llama 3's scaling. The tensor must equal the factors of its published constants.
fn llama3(theta: f64, dim: usize, factors: &[f32]) -> Result<Json, String> {
    let (low, high, original) = (1.0, 4.0, 8192.0);
    let factor = f64::from(factors.iter().copied().fold(1.0, f32::max)).round();
    let right = factors.len() == dim / 2
        && factors.iter().enumerate().all(|(at, &found)| {
            let wavelength = 2.0 * std::f64::consts::PI * theta.powf(2.0 * at as f64 / dim as f64);
            let turns = original / wavelength;
            let expected = if turns > high {
                1.0
            } else if turns < low {
                factor
            } else {
                let smooth = (turns - low) / (high - low);
                1.0 / ((1.0 - smooth) / factor + smooth)
            };
            (f64::from(found) - expected).abs() <= 1e-3 * expected
        });
    if !right {
        return Err("rope_freqs.weight holds factors that no known scaling gives".into());
    }
    Ok(json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original as u64,
    }))
}
