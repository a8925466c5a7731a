//! Ministral 3: queries that grow with their position.

use serde_json::json;

use super::{Defaults, Family};
use crate::block::BlockNorms;
use crate::rope_config::{QueryGrowth, RopeConfig, RopeScaling, Yarn};

/// Maps Ministral 3, the text model of `mistral3` folders. A file without settings of the rotation means
/// those of the published models.
pub(super) const MINISTRAL3: Family = Family {
    model_type: "ministral3",
    architecture: "Ministral3ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 131_072,
        intermediate_size: 14_336,
        layers: 34,
        key_value: Some(8),
        head_dim: Some(128),
        max_position: 262_144,
        norm_eps: 1e-5,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let window = fields.present_size("sliding_window", None)?;
        let told = fields.object("rope_parameters")?.is_some() || fields.object("rope_scaling")?.is_some();
        for attention in config.attentions_mut() {
            attention.window = window;
            if !told {
                attention.rope = published(attention.head_dim);
            }
        }
        Ok(())
    },
    write: |config, json| {
        json.insert("sliding_window".into(), config.first_attention().window.into());
        // A file without any settings would mean the published ones.
        if !["rope_parameters", "rope_scaling"].iter().any(|key| json.contains_key(*key)) {
            json.insert("rope_scaling".into(), json!({"rope_type": "default"}));
        }
    },
};

fn published(head_dim: usize) -> RopeConfig {
    let yarn = Yarn {
        factor: 16.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_max_position: 16_384,
        attention_factor: 1.0,
        truncate: true,
    };
    RopeConfig {
        scaling: Some(RopeScaling::Yarn(yarn)),
        query_growth: Some(QueryGrowth { beta: 0.1, period: 16_384 }),
        ..RopeConfig::new(head_dim, 1_000_000.0)
    }
}
