//! Granite 3: four factors, of embeddings, residuals, scores and logits.

use super::{Defaults, Family, llama};
use crate::block::BlockNorms;

/// Maps Granite. The factor of scores replaces `1 / √D`.
pub(super) const GRANITE: Family = Family {
    model_type: "granite",
    architecture: "GraniteForCausalLM",
    norms: BlockNorms::PRE,
    defaults: Defaults::LLAMA,
    read: |fields, config| {
        (llama::LLAMA.read)(fields, config)?;
        let factor = |key: &str| Ok::<_, String>(fields.number(key)?.unwrap_or(1.0));
        let (residual, scores) = (factor("residual_multiplier")?, factor("attention_multiplier")?);
        config.layers.iter_mut().for_each(|block| block.residual_scale = residual);
        config.attentions_mut().for_each(|attention| attention.scale = Some(scores));
        config.embedding_scale = factor("embedding_multiplier")?;
        config.logits.divisor = factor("logits_scaling")?;
        Ok(())
    },
    write: |config, json| {
        (llama::LLAMA.write)(config, json);
        for (key, factor) in [
            ("residual_multiplier", config.layers[0].residual_scale),
            ("attention_multiplier", config.first_attention().score_scale()),
            ("embedding_multiplier", config.embedding_scale),
            ("logits_scaling", config.logits.divisor),
        ] {
            json.insert(key.into(), factor.into());
        }
    },
};
