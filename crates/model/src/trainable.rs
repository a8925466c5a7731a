//! Selects the parameters that are trained.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use crate::config::ModelConfig;
use crate::parameters::{hugging_face_name, parameter_names};
use crate::transformer::Transformer;

struct Mark<'a> {
    config: &'a ModelConfig,
    path: Vec<String>,
    trained: &'a dyn Fn(&str) -> bool,
}

impl ModuleMapper for Mark<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = (self.trained)(&hugging_face_name(&self.path, self.config));
        param.set_require_grad(trained)
    }
}

impl Transformer {
    /// Trains the parameters whose names on disk `trained` accepts and freezes all others.
    ///
    /// The model must be on an autodiff device.
    #[must_use]
    pub fn trainable(self, trained: &dyn Fn(&str) -> bool) -> Self {
        let config = self.config.clone();
        self.map(&mut Mark { config: &config, path: Vec::new(), trained })
    }

    /// Freezes the parameters whose names on disk match a pattern such as `model.embed_tokens.*`.
    ///
    /// `*` stands for any text.
    ///
    /// # Errors
    /// If a pattern matches no parameter, or if all parameters match.
    pub fn frozen(self, patterns: &[String]) -> Result<Self, String> {
        if patterns.is_empty() {
            return Ok(self);
        }
        let names = parameter_names(&self);
        for pattern in patterns {
            if !names.iter().any(|name| matches(pattern, name)) {
                let some: Vec<_> = names.iter().take(3).map(String::as_str).collect();
                return Err(format!(
                    "freeze: \"{pattern}\" names no parameter\n  hint: names are like {}; * stands for any text",
                    some.join(", ")
                ));
            }
        }
        if names.iter().all(|name| patterns.iter().any(|pattern| matches(pattern, name))) {
            return Err("freeze: the patterns name every parameter, nothing is left to train".into());
        }
        Ok(self.trainable(&|name| !patterns.iter().any(|pattern| matches(pattern, name))))
    }
}

/// Returns whether the pattern, in which `*` stands for any text, matches the whole name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, expect) in [
            ("model.norm.weight", "model.norm.weight", true),
            ("model.norm", "model.norm.weight", false),
            ("model.embed_tokens.*", "model.embed_tokens.weight", true),
            ("*", "anything", true),
            ("*norm*", "model.layers.0.input_layernorm.weight", true),
            ("*norm*", "model.layers.0.mlp.up_proj.weight", false),
            ("*norm", "model.layers.0.input_layernorm.weight", false),
            ("model.layers.1.*", "model.layers.10.mlp.up_proj.weight", false),
            ("*.bias", "model.layers.0.self_attn.q_proj.bias", true),
            ("*a*ab", "aab", true),
            ("*ab", "abab", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} on {name}");
        }
    }
}
