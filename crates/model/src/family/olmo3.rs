//! OLMo 3 (arXiv:2512.13961): OLMo 2 with a window in three of four layers.

use serde_json::{Map, Value};

use super::rope_kinds::{self, LocalTheta};
use super::{Defaults, Family, Fields, olmo2, window};
use crate::block::BlockNorms;
use crate::config::ModelConfig;

/// Maps OLMo 3. A scaling of the rotation holds for layers without a window alone.
pub(super) const OLMO3: Family = Family {
    model_type: "olmo3",
    architecture: "Olmo3ForCausalLM",
    norms: BlockNorms::POST,
    defaults: Defaults { theta: 500_000.0, ropes_by_kind: true, ..olmo2::OLMO2.defaults },
    read,
    write: |config, json| {
        (olmo2::OLMO2.write)(config, json);
        if let Some(window) = window::window(&config.layers) {
            json.insert("sliding_window".into(), window.into());
        }
        window::write_kinds(&config.layers, json);
        let same = |json: &Map<String, Value>| {
            let mut before = config.clone();
            read(&Fields(json), &mut before).is_ok() && before == *config
        };
        rope_kinds::write(config, json, same);
    },
};

fn read(fields: &Fields<'_>, config: &mut ModelConfig) -> Result<(), String> {
    (olmo2::OLMO2.read)(fields, config)?;
    let window = fields.present_size("sliding_window", Some(4096))?;
    let of_pattern = |layer: usize| !(layer + 1).is_multiple_of(4);
    let sliding = window::read_kinds(fields, &mut config.layers, window, of_pattern)?;
    let local = LocalTheta { key: None, default: OLMO3.defaults.theta };
    rope_kinds::read(fields, &OLMO3.defaults, local, config, &sliding)
}
