//! Folders whose `config.json` holds the text model under `text_config`, beside images or sound.

use serde_json::{Map, Value};

/// Keys that a folder may have beside `text_config` and that are the text model's too.
const SHARED: [&str; 5] =
    ["bos_token_id", "eos_token_id", "pad_token_id", "quantization_config", "transformers_weights"];

/// The key beside `text_config` that holds for the whole folder. If neither has it, it is true except in
/// [`UNTIED`].
const TIED: &str = "tie_word_embeddings";

/// Folders whose matrices are separate unless they say otherwise.
const UNTIED: &str = "qwen3_5";

/// Names of text models by those of their folders, where older files leave the inner name out.
const INNER: [(&str, &str); 2] = [("gemma3", "gemma3_text"), (UNTIED, "qwen3_5_text")];

/// Returns the configuration of the text model: the object itself, or its `text_config` with the keys beside
/// it that belong to both.
pub(crate) fn text_config(json: &Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Object(text)) = json.get("text_config") else { return json.clone() };
    let mut all = text.clone();
    for key in SHARED {
        if let Some(value) = json.get(key).filter(|_| !text.contains_key(key)) {
            all.insert(key.into(), value.clone());
        }
    }
    let tied = json.get(TIED).or_else(|| text.get(TIED)).cloned();
    let outer = json.get("model_type").and_then(Value::as_str);
    all.insert(TIED.into(), tied.unwrap_or(Value::Bool(outer != Some(UNTIED))));
    if let (None, Some(outer)) = (all.get("model_type"), outer) {
        let inner = INNER.iter().find(|(name, _)| *name == outer).map_or(outer, |(_, inner)| inner);
        all.insert("model_type".into(), inner.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_model_keeps_its_keys_and_gets_those_that_both_have() {
        let whole = json!({
            "model_type": "gemma3", "eos_token_id": [1, 106], "pad_token_id": 7, "vision_config": {"depth": 2},
            "text_config": {"hidden_size": 8, "pad_token_id": 0},
        });
        let text = json!({
            "model_type": "gemma3_text", "hidden_size": 8, "pad_token_id": 0, "eos_token_id": [1, 106],
            "tie_word_embeddings": true,
        });
        assert_eq!(Value::Object(text_config(whole.as_object().unwrap())), text);
        assert_eq!(Value::Object(text_config(text.as_object().unwrap())), text);
    }
}
