//! Lists the architectures that can be converted: names of their norms, and what their rows and keys look
//! like.

use std::ops::RangeInclusive;

use serde_json::{Map, Value as Json, json};

use crate::architecture::{Architecture, Keys, Mixers, Names, Other, QkNorms, Shape};

const BEFORE: &[(&str, &str)] = &[("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")];
const AFTER: &[(&str, &str)] =
    &[("post_attention_norm", "post_attention_layernorm"), ("post_ffw_norm", "post_feedforward_layernorm")];
const AROUND: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

const LLAMA: Architecture = Architecture {
    name: "llama",
    family: "llama",
    class: "LlamaForCausalLM",
    norms: BEFORE,
    qk_norms: QkNorms::Nothing,
    interleaved: true,
    norm_offset: 0.0,
    fused: false,
    mixers: Mixers::Attention,
    experts: false,
    last_norms: &["output_norm.weight"],
    names: Names {
        last_norm: "model.norm",
        output: "self_attn.o_proj",
        query_norm: "self_attn.q_norm",
        key_norm: "self_attn.k_norm",
        gate: "mlp.gate_proj",
        up: "mlp.up_proj",
        down: "mlp.down_proj",
    },
    keys: |_, shape, config| {
        config.insert("mlp_bias".into(), shape.mlp_bias.into());
        Ok(())
    },
};

/// Every architecture.
const ARCHITECTURES: &[Architecture] = &[
    LLAMA,
    Architecture {
        name: "qwen2",
        family: "qwen2",
        class: "Qwen2ForCausalLM",
        interleaved: false,
        keys: |_, shape, config| {
            config.insert("use_sliding_window".into(), false.into());
            if shape.dim != shape.hidden / shape.heads {
                let Shape { dim, hidden, heads, .. } = shape;
                return Err(format!("qwen2.attention.key_length = {dim} is not {hidden} / {heads}"));
            }
            config.remove("head_dim");
            config.remove("attention_bias");
            Ok(())
        },
        ..LLAMA
    },
    Architecture {
        name: "qwen3",
        family: "qwen3",
        class: "Qwen3ForCausalLM",
        qk_norms: QkNorms::PerHead,
        interleaved: false,
        keys: |_, _, config| {
            config.insert("use_sliding_window".into(), false.into());
            Ok(())
        },
        ..LLAMA
    },
    Architecture {
        name: "gemma3",
        family: "gemma3_text",
        class: "Gemma3ForCausalLM",
        norms: AROUND,
        qk_norms: QkNorms::PerHead,
        interleaved: false,
        norm_offset: 1.0,
        keys: gemma3,
        ..LLAMA
    },
    Architecture {
        name: "smollm3",
        family: "smollm3",
        class: "SmolLM3ForCausalLM",
        keys: |keys, shape, config| {
            // llama.cpp knows no other pattern.
            let rotated = layers(keys, shape)?.map(|layer| u8::from(!layer.is_multiple_of(4)));
            config.insert("no_rope_layers".into(), rotated.collect());
            config.insert("no_rope_layer_interval".into(), 4.into());
            config.insert("use_sliding_window".into(), false.into());
            config.insert("mlp_bias".into(), shape.mlp_bias.into());
            Ok(())
        },
        ..LLAMA
    },
    Architecture {
        name: "granite",
        family: "granite",
        class: "GraniteForCausalLM",
        keys: |keys, shape, config| {
            config.insert("mlp_bias".into(), shape.mlp_bias.into());
            for (theirs, ours) in [
                ("attention.scale", "attention_multiplier"),
                ("embedding_scale", "embedding_multiplier"),
                ("residual_scale", "residual_multiplier"),
                ("logit_scale", "logits_scaling"),
            ] {
                config.insert(ours.into(), keys.number(theirs)?.unwrap_or(1.0).into());
            }
            Ok(())
        },
        ..LLAMA
    },
    Architecture {
        name: "olmo2",
        family: "olmo2",
        class: "Olmo2ForCausalLM",
        norms: AFTER,
        qk_norms: QkNorms::FullWidth,
        interleaved: false,
        keys: |keys, _, _| match keys.optional_size("attention.sliding_window")? {
            Some(_) => Err("olmo2.attention.sliding_window: OLMo 3 is not supported".into()),
            None => Ok(()),
        },
        ..LLAMA
    },
    Architecture {
        name: "lfm2",
        family: "lfm2",
        class: "Lfm2ForCausalLM",
        norms: &[("attn_norm", "operator_norm"), ("ffn_norm", "ffn_norm")],
        qk_norms: QkNorms::PerHead,
        interleaved: false,
        mixers: Mixers::Convolutions,
        // llama.cpp first took the last norm for one of embeddings.
        last_norms: &["token_embd_norm.weight", "output_norm.weight"],
        names: Names {
            last_norm: "model.embedding_norm",
            output: "self_attn.out_proj",
            query_norm: "self_attn.q_layernorm",
            key_norm: "self_attn.k_layernorm",
            gate: "feed_forward.w1",
            up: "feed_forward.w3",
            down: "feed_forward.w2",
        },
        keys: lfm2,
        ..LLAMA
    },
    Architecture {
        name: "qwen35",
        family: "qwen3_5_text",
        class: "Qwen3_5ForCausalLM",
        norms: &[("attn_norm", "input_layernorm"), ("post_attention_norm", "post_attention_layernorm")],
        qk_norms: QkNorms::PerHead,
        interleaved: false,
        norm_offset: 1.0,
        mixers: Mixers::DeltaNets,
        keys: qwen35,
        ..LLAMA
    },
    Architecture {
        name: "qwen3moe",
        family: "qwen3_moe",
        class: "Qwen3MoeForCausalLM",
        qk_norms: QkNorms::PerHead,
        interleaved: false,
        experts: true,
        keys: |keys, shape, config| {
            config.insert("use_sliding_window".into(), false.into());
            config.insert("moe_intermediate_size".into(), shape.inner.into());
            config.insert("intermediate_size".into(), keys.size("feed_forward_length")?.into());
            experts(keys, shape, config, true)
        },
        ..LLAMA
    },
    Architecture {
        name: "olmoe",
        family: "olmoe",
        class: "OlmoeForCausalLM",
        qk_norms: QkNorms::FullWidth,
        interleaved: false,
        experts: true,
        keys: |keys, shape, config| experts(keys, shape, config, false),
        ..LLAMA
    },
    Architecture {
        name: "phi3",
        family: "phi3",
        class: "Phi3ForCausalLM",
        interleaved: false,
        fused: true,
        keys: phi3,
        ..LLAMA
    },
];

/// Returns the numbers of the layers, from 1. Refuses more than the file can hold, because a list of them is
/// made.
fn layers(keys: &Keys<'_>, shape: &Shape) -> Result<RangeInclusive<usize>, String> {
    let (layers, tensors) = (shape.layers, keys.file.tensors.len());
    if layers > tensors {
        return Err(format!("{} = {layers}, and there are {tensors} tensors", keys.key("block_count")));
    }
    Ok(1..=layers)
}

/// Writes Gemma 3's keys. Those that a file lacks are those of the published sizes, as in llama.cpp.
fn gemma3(keys: &Keys<'_>, shape: &Shape, config: &mut Map<String, Json>) -> Result<(), String> {
    const LAYERS_OF_27B: usize = 62;
    config.remove("hidden_act");
    config.insert("hidden_activation".into(), "gelu_pytorch_tanh".into());
    let published = if shape.layers == LAYERS_OF_27B { shape.hidden / shape.heads } else { shape.dim };
    let scale = keys.number("attention.scale")?.filter(|scale| *scale > 0.0);
    let scalar = scale.map_or(published as f64, |scale| scale.powi(-2).round().max(1.0));
    config.insert("query_pre_attn_scalar".into(), (scalar as u64).into());
    config.insert("sliding_window".into(), keys.size("attention.sliding_window")?.into());
    config.insert("rope_local_base_freq".into(), keys.base("rope.freq_base_swa")?.into());
    let every = keys.optional_size("attention.sliding_window_pattern")?.unwrap_or(6) as usize;
    let kind =
        |layer: usize| if layer.is_multiple_of(every) { "full_attention" } else { "sliding_attention" };
    config.insert("layer_types".into(), layers(keys, shape)?.map(kind).collect());
    Ok(())
}

/// Writes LFM2's keys. A file has the width of the feed-forward layers that its folder derives.
fn lfm2(_: &Keys<'_>, shape: &Shape, config: &mut Map<String, Json>) -> Result<(), String> {
    let others = shape.others.as_ref().ok_or("the file has no convolutions")?;
    let Other::Convolution { taps } = others.kind else { unreachable!("LFM2 has convolutions") };
    for key in ["hidden_act", "attention_bias", "attention_dropout"] {
        config.remove(key);
    }
    let epsilon = config.remove("rms_norm_eps").expect("every family has it");
    config.insert("norm_eps".into(), epsilon);
    config.insert("block_auto_adjust_ff_dim".into(), false.into());
    config.insert("conv_L_cache".into(), taps.into());
    config.insert("conv_bias".into(), false.into());
    let kind = |is_convolution: &bool| if *is_convolution { "conv" } else { "full_attention" };
    config.insert("layer_types".into(), others.layers.iter().map(kind).collect());
    Ok(())
}

/// Writes Qwen3.5's keys. Text has one position per token, so the sections of a rotation have no effect.
fn qwen35(keys: &Keys<'_>, shape: &Shape, config: &mut Map<String, Json>) -> Result<(), String> {
    let others = shape.others.as_ref().ok_or("the file has no linear attention")?;
    let Other::DeltaNet(delta) = others.kind else { unreachable!("Qwen3.5 has gated DeltaNets") };
    for (key, size) in [
        ("linear_num_key_heads", delta.key_heads),
        ("linear_num_value_heads", delta.value_heads),
        ("linear_key_head_dim", delta.key_dim),
        ("linear_value_head_dim", delta.value_dim),
        ("linear_conv_kernel_dim", delta.taps),
    ] {
        config.insert(key.into(), size.into());
    }
    let kind = |is_linear: &bool| if *is_linear { "linear_attention" } else { "full_attention" };
    config.insert("layer_types".into(), others.layers.iter().map(kind).collect());
    config
        .insert("partial_rotary_factor".into(), (keys.rotated(shape.dim)? as f64 / shape.dim as f64).into());
    Ok(())
}

/// Writes the keys of experts. A file without the key for weights that add up to 1 has the architecture's
/// rule, `normalised`.
fn experts(
    keys: &Keys<'_>,
    shape: &Shape,
    config: &mut Map<String, Json>,
    normalised: bool,
) -> Result<(), String> {
    config.insert("num_experts".into(), shape.experts.into());
    config.insert("num_experts_per_tok".into(), keys.size("expert_used_count")?.into());
    let normalised = keys.flag("expert_weights_norm")?.unwrap_or(normalised);
    config.insert("norm_topk_prob".into(), normalised.into());
    Ok(())
}

/// Writes Phi-3's keys. The divisors of LongRoPE are tensors of the file.
fn phi3(keys: &Keys<'_>, shape: &Shape, config: &mut Map<String, Json>) -> Result<(), String> {
    config.remove("attention_bias");
    config.insert("sliding_window".into(), keys.optional_size("attention.sliding_window")?.into());
    let rotated = keys.rotated(shape.dim)?;
    config.insert("partial_rotary_factor".into(), (rotated as f64 / shape.dim as f64).into());
    config.entry("pad_token_id").or_insert(Json::Null);
    let factors = |name: &str| -> Result<Option<Vec<f32>>, String> {
        let Some(tensor) = keys.file.tensors.iter().find(|tensor| tensor.name == name) else {
            return Ok(None);
        };
        if tensor.shape != [rotated / 2] {
            return Err(format!("{name} has shape {:?}, not [{}]", tensor.shape, rotated / 2));
        }
        keys.file.values(tensor).map(Some).map_err(|error| error.to_string())
    };
    let original = keys.optional_size("rope.scaling.original_context_length")?;
    if let Some(original) = original {
        config.insert("original_max_position_embeddings".into(), original.into());
    }
    match (factors("rope_factors_short.weight")?, factors("rope_factors_long.weight")?) {
        (None, None) => Ok(()),
        (Some(short), Some(long)) => {
            // Numbers of 32 bits keep the digits that they were written with.
            let digits = |all: Vec<f32>| -> Json {
                all.iter().map(|one| one.to_string().parse::<f64>().expect("a number")).collect()
            };
            let (short, long) = (digits(short), digits(long));
            let scaling = json!({"type": "longrope", "short_factor": short, "long_factor": long});
            config.insert("rope_scaling".into(), scaling);
            Ok(())
        }
        _ => Err("rope_factors_short.weight and rope_factors_long.weight belong together".into()),
    }
}

/// Returns the architecture with this name in a file.
pub(crate) fn named(name: &str) -> Result<&'static Architecture, String> {
    ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
        format!("architecture \"{name}\" is not supported\n  hint: supported are {}", known.join(", "))
    })
}
