//! Names on disk that differ from those of most families.

/// Maps the paths of most families, below a block or the model, to those of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names(&'static [(&'static str, &'static str)]);

impl Names {
    /// Changes no name.
    pub const COMMON: Self = Self(&[]);

    /// Has the names of LFM2.
    pub const LFM2: Self = Self(&[
        ("self_attn.o_proj", "self_attn.out_proj"),
        ("self_attn.q_norm", "self_attn.q_layernorm"),
        ("self_attn.k_norm", "self_attn.k_layernorm"),
        ("mlp.gate_proj", "feed_forward.w1"),
        ("mlp.up_proj", "feed_forward.w3"),
        ("mlp.down_proj", "feed_forward.w2"),
        ("norm", "embedding_norm"),
    ]);

    /// Has the names of Granite 4.
    pub const GRANITE_HYBRID: Self = Self(&[
        ("mlp.gate_up_proj", "shared_mlp.input_linear"),
        ("mlp.down_proj", "shared_mlp.output_linear"),
    ]);

    /// Has the names of Qwen3.5.
    pub const QWEN3_5: Self = Self(&[("linear_attn.a_log", "linear_attn.A_log")]);

    /// Returns the name on disk of a layer.
    pub(crate) fn of(self, layer: &'static str) -> &'static str {
        self.0.iter().find(|(common, _)| *common == layer).map_or(layer, |(_, name)| name)
    }

    /// Returns the path on disk of a parameter of a layer.
    pub(crate) fn path(self, path: &str) -> String {
        let renamed = |(common, name): &(&str, &str)| {
            let rest = path.strip_prefix(common)?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("{name}{rest}"))
        };
        self.0.iter().find_map(renamed).unwrap_or_else(|| path.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_renamed_by_its_layer() {
        for (path, expect) in [
            ("self_attn.o_proj.weight", "self_attn.out_proj.weight"),
            ("mlp.up_proj.lora_A.weight", "feed_forward.w3.lora_A.weight"),
            ("self_attn.o_projector.weight", "self_attn.o_projector.weight"),
            ("norm.weight", "embedding_norm.weight"),
        ] {
            assert_eq!(Names::LFM2.path(path), expect);
            assert_eq!(Names::COMMON.path(path), path);
        }
    }
}
