//! Variants of a model for servers: one with a separate output matrix, and one that differs everywhere.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Int, Tensor};

use crate::build::parameter;
use crate::config::ModelConfig;
use crate::layers::linear::Linear;
use crate::parameters::hugging_face_name;
use crate::transformer::Transformer;

impl Transformer {
    /// Gives a model with tied embeddings a separate output matrix of the same values.
    #[must_use]
    pub fn untied(mut self) -> Self {
        if self.lm_head.is_none() {
            let weight = self.embed_tokens.weight.val().detach();
            let weight = parameter("lm_head.weight", weight);
            self.lm_head = Some(Linear { weight, bias: None, lora: None });
            self.config.tied_embeddings = false;
        }
        self
    }

    /// Perturbs the parameters whose names on disk `changed` accepts, by a tenth of their mean magnitude.
    ///
    /// The model must not track gradients. Parameters of an adapter have `.lora.` in their names. A server
    /// whose log-probabilities don't follow such a change has kept old weights.
    #[must_use]
    pub fn waved(self, changed: &dyn Fn(&str) -> bool) -> Self {
        let config = self.config.clone();
        self.map(&mut Wave { config: &config, path: Vec::new(), changed })
    }
}

struct Wave<'a> {
    config: &'a ModelConfig,
    path: Vec<String>,
    changed: &'a dyn Fn(&str) -> bool,
}

/// Height of the wave where a parameter is zero.
const LEAST: f32 = 0.01;

impl ModuleMapper for Wave<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !(self.changed)(&hugging_face_name(&self.path, self.config)) {
            return param;
        }
        param.map(|value| {
            let (shape, device) = (value.dims(), value.device());
            let count = shape.iter().product::<usize>() as i64;
            let wave = Tensor::<1, Int>::arange(0..count, &device).float().sin().reshape(shape);
            let height = value.clone().abs().mean().mul_scalar(0.1).add_scalar(LEAST);
            let wave = wave.cast(value.dtype()) * height.reshape([1; D]);
            value + wave
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use crate::io::checkpoint::load;
    use crate::parameters::parameters;

    #[test]
    fn an_untied_model_has_its_head_twice_and_a_waved_one_no_number_twice() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
        let model = load(&folder, &Device::default()).expect("the committed model");
        let (tied, untied) = (parameters(&model), parameters(&model.clone().untied()));
        assert_eq!(untied.len(), tied.len() + 1);
        assert_eq!(
            untied.last().map(|head| (&*head.name, &head.values)),
            Some(("lm_head.weight", &tied[0].values))
        );
        for (waved, plain) in parameters(&model.waved(&|_| true)).iter().zip(&tied) {
            let same = waved.values.iter().zip(&plain.values).skip(1).filter(|(a, b)| a == b).count();
            assert!(same * 100 <= plain.values.len(), "{} of {}", same, plain.name);
        }
    }
}
