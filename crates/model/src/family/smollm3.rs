//! SmolLM3: every fourth layer has no positions.

use super::{Defaults, Family, llama, window};
use crate::block::BlockNorms;

/// Maps SmolLM3. `no_rope_layers` holds 1 for layers with the rotation and 0 for those without.
pub(super) const SMOLLM3: Family = Family {
    model_type: "smollm3",
    architecture: "SmolLM3ForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults {
        vocab_size: 128_256,
        hidden_size: 2048,
        layers: 36,
        query: 16,
        key_value: Some(4),
        max_position: 32_768,
        theta: 2_000_000.0,
        tied: true,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        (llama::LLAMA.read)(fields, config)?;
        let count = config.layers.len();
        let rotated: Vec<bool> = match fields.list("no_rope_layers")? {
            Some(flags) if flags.len() < count => {
                return Err(format!("no_rope_layers names {} layers of {count}", flags.len()));
            }
            Some(flags) => flags.iter().take(count).map(|flag| flag.as_u64() != Some(0)).collect(),
            None => {
                let interval = fields.size_or("no_rope_layer_interval", 4)?.max(1);
                (0..count).map(|layer| !(layer + 1).is_multiple_of(interval)).collect()
            }
        };
        let used = fields.flag("use_sliding_window")?.unwrap_or(false);
        let window = fields.present_size("sliding_window", None)?.filter(|_| used);
        let without = |layer: usize| window.is_some() && !rotated[layer];
        window::read_kinds(fields, &mut config.layers, window, without)?;
        for (attention, rotated) in config.attentions_mut().zip(&rotated) {
            if !rotated {
                attention.rope.rotated = 0;
            }
        }
        Ok(())
    },
    write: |config, json| {
        (llama::LLAMA.write)(config, json);
        let rotated = config.attentions().map(|attention| u64::from(attention.rope.rotated > 0));
        json.insert("no_rope_layers".into(), rotated.collect::<Vec<_>>().into());
        let window = window::window(&config.layers);
        json.insert("use_sliding_window".into(), window.is_some().into());
        json.insert("sliding_window".into(), window.into());
        window::write_kinds(&config.layers, json);
    },
};
