//! Names of a text model's tensors in a folder that holds images or sound, too.

/// Parts of a folder that are no part of its text model: encoders of images and sound, their projections, and
/// the heads that predict several tokens.
const OTHER_PARTS: [&str; 12] = [
    "vision_tower",
    "vision_model",
    "vision_encoder",
    "visual",
    "multi_modal_projector",
    "mm_projector",
    "audio_tower",
    "audio_model",
    "embed_vision",
    "embed_audio",
    "vision_embed_tokens",
    "mtp",
];

/// Returns the part of the folder that a tensor belongs to, if it isn't the text model.
pub(crate) fn other_part(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    let first = name.split('.').next()?;
    OTHER_PARTS.into_iter().find(|part| *part == first)
}

/// Returns the name that a tensor of a text model has in a separate folder, if that differs:
/// `language_model.model.norm.weight` and `model.language_model.norm.weight` are `model.norm.weight`.
pub(crate) fn own_name(name: &str) -> Option<String> {
    let rest = name.strip_prefix("model.").unwrap_or(name).strip_prefix("language_model.")?;
    let rest = rest.strip_prefix("model.").unwrap_or(rest);
    Some(if rest.starts_with("lm_head.") { rest.into() } else { format!("model.{rest}") })
}

/// Returns the name that a tensor of a model without a head has in a model with one. `AutoModel` of
/// `transformers` saves such folders: `norm.weight` is `model.norm.weight`.
pub(crate) fn headless_name(name: &str) -> Option<String> {
    (!name.starts_with("lm_head.")).then(|| format!("model.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_transformers_is_the_name_of_a_text_folder() {
        let norm = Some("model.layers.0.input_layernorm.weight".to_string());
        let at = "layers.0.input_layernorm.weight";
        for prefix in ["language_model.model.", "model.language_model.", "model.language_model.model."] {
            assert_eq!(own_name(&format!("{prefix}{at}")), norm, "{prefix}");
        }
        assert_eq!(own_name("language_model.lm_head.weight"), Some("lm_head.weight".into()));
        assert_eq!(own_name("model.norm.weight"), None);
        assert_eq!(own_name("lm_head.weight"), None);
    }

    #[test]
    fn other_parts_are_known_by_their_first_name() {
        for (name, part) in [
            ("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", Some("vision_tower")),
            ("model.vision_tower.encoder.weight", Some("vision_tower")),
            ("model.multi_modal_projector.linear_1.weight", Some("multi_modal_projector")),
            ("mtp.layers.0.weight", Some("mtp")),
            ("model.layers.0.mtp.weight", None),
            ("model.norm.weight", None),
        ] {
            assert_eq!(other_part(name), part, "{name}");
        }
    }
}
