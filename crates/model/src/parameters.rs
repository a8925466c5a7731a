//! The parameters of a model under their names on disk.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};

use crate::block::QkNorm;
use crate::config::ModelConfig;
use crate::transformer::Transformer;

/// Holds one parameter: name on disk, shape, and values in f32.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

struct Collect<'a, F> {
    config: &'a ModelConfig,
    path: Vec<String>,
    take: F,
}

impl<F: FnMut(String, &dyn Fn() -> Named)> ModuleVisitor for Collect<'_, F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = hugging_face_name(&self.path, self.config);
        let read = || {
            let value = param.val();
            let data = value.clone().into_data_dtype(DType::F32);
            Named {
                name: name.clone(),
                shape: value.dims().to_vec(),
                values: data.try_into_vec().expect("data was just converted to f32"),
            }
        };
        (self.take)(name.clone(), &read);
    }
}

/// Returns the name on disk of the parameter in a field of the network.
///
/// Fields have the names on disk of most families, except norms; only the prefix differs.
pub(crate) fn hugging_face_name(path: &[String], config: &ModelConfig) -> String {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let ["layers", layer, ref rest @ ..] = parts[..] else {
        let path = config.layers[0].names.path(&parts.join("."));
        return if path.starts_with("lm_head") { path } else { format!("model.{path}") };
    };
    let block = &config.layers[layer.parse::<usize>().expect("blocks are numbered")];
    let mut rest = rest.to_vec();
    if let Some(name) = block.norms.name_of(rest[0]) {
        rest[0] = name;
    }
    if rest[0] == "moe" {
        // Experts and their router have the place of the feed-forward layer.
        rest[0] = "mlp";
    }
    let names = block.attention().and_then(|attention| attention.qk_norm).map(QkNorm::names);
    match (rest[1], names) {
        ("q_norm", Some([q, _])) => rest[1] = q,
        ("k_norm", Some([_, k])) => rest[1] = k,
        _ => {}
    }
    format!("model.layers.{layer}.{}", block.names.path(&rest.join(".")))
}

/// Returns all parameters with their values, in the order of the fields.
pub(crate) fn parameters(model: &Transformer) -> Vec<Named> {
    let mut all = Vec::new();
    let take = |_: String, read: &dyn Fn() -> Named| all.push(read());
    let mut visitor = Collect { config: model.config(), path: Vec::new(), take };
    model.visit(&mut visitor);
    all
}

/// Returns the names on disk of all parameters, in the order of the fields.
pub fn parameter_names(model: &Transformer) -> Vec<String> {
    let mut names = Vec::new();
    let take = |name: String, _: &dyn Fn() -> Named| names.push(name);
    let mut visitor = Collect { config: model.config(), path: Vec::new(), take };
    model.visit(&mut visitor);
    names
}
