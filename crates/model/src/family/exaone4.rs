//! EXAONE 4.0 (arXiv:2507.11407): norms of outputs, and no positions in layers without a window.

use super::{Defaults, Family, Fields, window};
use crate::block::{BlockNorms, QkNorm};

/// The window of a file that doesn't say.
const WINDOW: usize = 4096;

/// Maps EXAONE 4. All layers have positions if none has a window.
pub(super) const EXAONE4: Family = Family {
    model_type: "exaone4",
    architecture: "Exaone4ForCausalLM",
    norms: BlockNorms::POST,
    defaults: Defaults {
        vocab_size: 102_400,
        intermediate_size: 16_384,
        key_value: Some(32),
        norm_eps: 1e-5,
        ..Defaults::LLAMA
    },
    read: |fields, config| {
        let window = fields.present_size("sliding_window", Some(WINDOW))?;
        let of_pattern = pattern(fields, config.layers.len())?;
        window::read_kinds(fields, &mut config.layers, window, |layer| {
            window.is_some() && of_pattern[layer]
        })?;
        for attention in config.attentions_mut() {
            attention.qk_norm = Some(QkNorm::PerHead);
            if window.is_some() && attention.window.is_none() {
                attention.rope.rotated = 0;
            }
        }
        Ok(())
    },
    write: |config, json| {
        // A window that no layer has still takes the positions of all.
        let without_positions = config.attentions().all(|attention| attention.rope.rotated == 0);
        let window = window::window(&config.layers).or(without_positions.then_some(WINDOW));
        json.insert("sliding_window".into(), window.into());
        json.remove("sliding_window_pattern");
        window::write_kinds(&config.layers, json);
    },
};

/// Returns the layers with a window that `sliding_window_pattern` describes: a number, whose multiples have
/// none, or a text of `L` and `G` that repeats. The last layer never has one under a text.
fn pattern(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, String> {
    let written = fields.0.get("sliding_window_pattern");
    if let Some(text) = written.and_then(serde_json::Value::as_str) {
        if text.is_empty() || text.chars().any(|kind| kind != 'L' && kind != 'G') {
            return Err(format!("sliding_window_pattern = \"{text}\" is not a text of L and G"));
        }
        let kinds = text.chars().cycle().take(layers).enumerate();
        return Ok(kinds.map(|(layer, kind)| kind == 'L' && layer + 1 < layers).collect());
    }
    let every = fields.present_size("sliding_window_pattern", Some(4))?.unwrap_or(0);
    Ok((1..=layers).map(|layer| every > 0 && !layer.is_multiple_of(every)).collect())
}
