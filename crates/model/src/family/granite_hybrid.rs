//! Granite 4 without Mamba layers and without experts: the factors of Granite 3, one matrix for gate and up,
//! and positions only where the file asks for them.

use serde_json::{Map, Value};

use super::{Defaults, Family, Fields, granite};
use crate::block::{BlockNorms, Names};
use crate::config::ModelConfig;

/// Maps the members of `granitemoehybrid` whose layers are all attention.
pub(super) const GRANITE_HYBRID: Family = Family {
    model_type: "granitemoehybrid",
    architecture: "GraniteMoeHybridForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults::LLAMA,
    read,
    write,
};

/// Names of layers of attention in the spellings of transformers 4 and 5.
const ATTENTION: [&str; 2] = ["attention", "full_attention"];

fn read(fields: &Fields<'_>, config: &mut ModelConfig) -> Result<(), String> {
    (granite::GRANITE.read)(fields, config)?;
    let experts = fields.size_or("num_local_experts", 8)?;
    if experts > 0 {
        return Err(format!("num_local_experts = {experts} is not supported (only 0)"));
    }
    // transformers knows the list by both names.
    let kinds = match fields.list("layer_types")? {
        None => fields.list("layers_block_type")?,
        kinds => kinds,
    };
    let kinds = kinds.ok_or("layer_types is missing: its default is Mamba layers")?;
    if kinds.len() != config.layers.len() {
        return Err(format!("layer_types names {} layers of {}", kinds.len(), config.layers.len()));
    }
    let other = |kind: &&Value| !kind.as_str().is_some_and(|kind| ATTENTION.contains(&kind));
    if let Some(kind) = kinds.iter().find(other) {
        return Err(format!("layer_types: {kind} is not supported (only attention)"));
    }
    let width = fields.size_or("shared_intermediate_size", 1024)?;
    for block in &mut config.layers {
        block.names = Names::GRANITE_HYBRID;
        (block.mlp.width, block.mlp.fused, block.mlp.bias) = (width, true, false);
    }
    if fields.text("position_embedding_type")? != Some("rope") {
        config.attentions_mut().for_each(|attention| attention.rope.rotated = 0);
    }
    Ok(())
}

fn write(config: &ModelConfig, json: &mut Map<String, Value>) {
    (granite::GRANITE.write)(config, json);
    json.remove("mlp_bias");
    json.insert("num_local_experts".into(), 0.into());
    json.insert("shared_intermediate_size".into(), config.layers[0].mlp.width.into());
    let rotated = config.first_attention().rope.rotated > 0;
    let kind = if rotated { "rope" } else { "nope" };
    json.insert("position_embedding_type".into(), kind.into());
    if !["layer_types", "layers_block_type"].iter().any(|name| json.contains_key(*name)) {
        json.insert("layer_types".into(), vec![ATTENTION[0]; config.layers.len()].into());
    }
}
