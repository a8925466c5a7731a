//! Keys of `config.json` that several families share: their spellings, defaults and meanings.

mod defaults;
pub(super) mod experts;
mod fields;
pub(super) mod layer_kinds;
mod nested;
pub(super) mod rope;
pub(super) mod rope_kinds;
mod rope_scaling;
pub(super) mod window;

pub(super) use defaults::{Defaults, RopeDialect};
pub(super) use fields::Fields;
pub(crate) use nested::text_config;
