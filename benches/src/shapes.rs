//! Models of the sizes that are measured, untrained: speed doesn't depend on what weights say.

use turnwise_model::{Heads, ModelConfig, RopeConfig};

/// A size under its name.
pub type Shape = (&'static str, fn() -> ModelConfig);

/// The sizes, smallest first.
pub const SHAPES: [Shape; 5] = [
    ("tiny", tiny_model),
    ("8.4M", small_model),
    ("135M", smollm2_model),
    ("0.5B", half_billion),
    ("1.5B", one_and_a_half_billion),
];

/// The configuration of a size.
pub fn shape(name: &str) -> Option<ModelConfig> {
    SHAPES.iter().find(|(known, _)| *known == name).map(|(_, config)| config())
}

fn heads(query: usize, key_value: usize, dim: usize, qkv_bias: bool) -> Heads {
    Heads { query, key_value, dim, qkv_bias, output_bias: false, qk_norm: false, sliding_window: None }
}

/// The shape of the model that `just train` uses.
pub fn tiny_model() -> ModelConfig {
    ModelConfig {
        vocab_size: 320,
        hidden_size: 96,
        intermediate_size: 256,
        num_layers: 3,
        heads: heads(3, 1, 32, false),
        max_position: 512,
        norm_eps: 1e-6,
        rope: RopeConfig { theta: 10_000.0, scaling: None },
        tied_embeddings: true,
        mlp_bias: false,
    }
}

/// A Llama of 8.4 million parameters: what small research models look like.
pub fn small_model() -> ModelConfig {
    ModelConfig {
        vocab_size: 8192,
        hidden_size: 256,
        intermediate_size: 768,
        num_layers: 8,
        heads: heads(8, 4, 32, false),
        max_position: 2048,
        ..tiny_model()
    }
}

/// SmolLM2-135M.
pub fn smollm2_model() -> ModelConfig {
    ModelConfig {
        vocab_size: 49152,
        hidden_size: 576,
        intermediate_size: 1536,
        num_layers: 30,
        heads: heads(9, 3, 64, false),
        max_position: 8192,
        ..tiny_model()
    }
}

/// Qwen2.5-0.5B.
fn half_billion() -> ModelConfig {
    ModelConfig {
        vocab_size: 151_936,
        hidden_size: 896,
        intermediate_size: 4864,
        num_layers: 24,
        heads: heads(14, 2, 64, true),
        max_position: 32768,
        ..tiny_model()
    }
}

/// Qwen2.5-1.5B.
fn one_and_a_half_billion() -> ModelConfig {
    ModelConfig {
        vocab_size: 151_936,
        hidden_size: 1536,
        intermediate_size: 8960,
        num_layers: 28,
        heads: heads(12, 2, 128, true),
        max_position: 32768,
        ..tiny_model()
    }
}

/// Weights that a token is multiplied with, embedding lookup aside.
pub fn multiplied(config: &ModelConfig) -> usize {
    let heads = &config.heads;
    let attention = 2 * (heads.query + heads.key_value) * heads.dim * config.hidden_size;
    config.num_layers * (attention + 3 * config.hidden_size * config.intermediate_size)
        + config.vocab_size * config.hidden_size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiny_shape_is_that_of_the_committed_model() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny");
        assert_eq!(tiny_model(), turnwise_model::load_config(folder.as_ref()).unwrap());
    }

    #[test]
    fn sizes_are_those_of_their_names() {
        for (name, millions) in [("8.4M", 8.4), ("135M", 134.5), ("0.5B", 494.0), ("1.5B", 1543.7)] {
            let config = shape(name).unwrap();
            assert_eq!(config.check(), Ok(()), "{name}");
            let found = multiplied(&config) as f64 / 1e6;
            assert!((found / millions - 1.0).abs() < 0.01, "{name}: {found} million");
        }
    }
}
