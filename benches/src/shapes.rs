//! Models of the sizes that are measured, untrained: speed doesn't depend on what weights say.

use turnwise_model::family::Family;
use turnwise_model::{AttentionConfig, BlockConfig, ModelConfig};

/// A size under its name.
pub type Shape = (&'static str, fn() -> ModelConfig);

/// The sizes, smallest first.
pub const SHAPES: [Shape; 8] = [
    ("tiny", tiny_model),
    ("8.4M", small_model),
    ("135M", smollm2_model),
    ("lfm2-206M", || of_family(include_str!("../shapes/lfm2-206M.json"))),
    ("qwen3_5-210M", || of_family(include_str!("../shapes/qwen3_5-210M.json"))),
    ("gemma3-268M", || of_family(include_str!("../shapes/gemma3-268M.json"))),
    ("0.5B", half_billion),
    ("1.5B", one_and_a_half_billion),
];

/// The configuration of a size.
pub fn shape(name: &str) -> Option<ModelConfig> {
    SHAPES.iter().find(|(known, _)| *known == name).map(|(_, config)| config())
}

/// The network of a `config.json`, which PyTorch's side reads too.
fn of_family(config: &str) -> ModelConfig {
    let json: serde_json::Value = serde_json::from_str(config).expect("JSON");
    let family = json["model_type"].as_str().expect("a family");
    let read = |family: Family| family.read(json.as_object().expect("an object"));
    Family::named(family).and_then(read).expect("a network")
}

/// `count` blocks of a Llama, or with biases on q, k and v of a Qwen2.
fn blocks(
    count: usize,
    (query, key_value, dim): (usize, usize, usize),
    qkv_bias: bool,
    width: usize,
) -> Vec<BlockConfig> {
    let attention = AttentionConfig { qkv_bias, ..AttentionConfig::new(query, key_value, dim) };
    vec![BlockConfig::new(attention, width); count]
}

/// The shape of the model that `just train` uses.
pub fn tiny_model() -> ModelConfig {
    ModelConfig { max_position: 512, ..ModelConfig::new(320, 96, blocks(3, (3, 1, 32), false, 256)) }
}

/// A Llama of 8.4 million parameters: what small research models look like.
pub fn small_model() -> ModelConfig {
    ModelConfig {
        vocab_size: 8192,
        hidden_size: 256,
        layers: blocks(8, (8, 4, 32), false, 768),
        max_position: 2048,
        ..tiny_model()
    }
}

/// SmolLM2-135M.
pub fn smollm2_model() -> ModelConfig {
    ModelConfig {
        vocab_size: 49152,
        hidden_size: 576,
        layers: blocks(30, (9, 3, 64), false, 1536),
        max_position: 8192,
        ..tiny_model()
    }
}

/// Qwen2.5-0.5B.
fn half_billion() -> ModelConfig {
    ModelConfig {
        vocab_size: 151_936,
        hidden_size: 896,
        layers: blocks(24, (14, 2, 64), true, 4864),
        max_position: 32768,
        ..tiny_model()
    }
}

/// Qwen2.5-1.5B.
fn one_and_a_half_billion() -> ModelConfig {
    ModelConfig {
        vocab_size: 151_936,
        hidden_size: 1536,
        layers: blocks(28, (12, 2, 128), true, 8960),
        max_position: 32768,
        ..tiny_model()
    }
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
        let llamas = [("8.4M", 8.4), ("135M", 134.5), ("0.5B", 494.0), ("1.5B", 1543.7)];
        let others = [("lfm2-206M", 206.0), ("qwen3_5-210M", 210.0), ("gemma3-268M", 268.0)];
        for (name, millions) in llamas.into_iter().chain(others) {
            let config = shape(name).unwrap();
            assert_eq!(config.check(), Ok(()), "{name}");
            let found = config.multiplied_weights() as f64 / 1e6;
            assert!((found / millions - 1.0).abs() < 0.01, "{name}: {found} million");
        }
    }
}
