//! Reads a model folder's chat settings: the template, the special tokens that it names, and the tokens that
//! end a turn.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};
use turnwise_json::with_tagged_floats;
use turnwise_trajectory::TokenId;

use super::ChatError;

/// Holds a model folder's chat settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatFolder {
    /// Source of the template.
    pub(super) place: PathBuf,
    /// The template for conversations.
    pub(super) template: String,
    /// The template for conversations with tools, if it is a separate one.
    pub(super) tool_use: Option<String>,
    /// Special tokens by name, such as `bos_token`.
    pub(super) tokens: Map<String, Json>,
    /// Tokens that end a text.
    pub(super) ends: Vec<TokenId>,
    /// The value of `model_type` in `config.json`.
    pub(super) family: String,
}

const TOKEN_NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl ChatFolder {
    /// Reads a folder's chat settings; none if it has no template. The template is `chat_template.jinja`, or
    /// else `chat_template` of `tokenizer_config.json`, a text or a list of named ones. Special tokens are
    /// named there or in `special_tokens_map.json`.
    pub fn read(folder: &Path) -> Result<Option<Self>, ChatError> {
        let settings = folder.join("tokenizer_config.json");
        let config = object(&settings)?.unwrap_or_default();
        let file = folder.join("chat_template.jinja");
        let (place, template, tool_use) = if let Some(text) = text(&file)? {
            let more = text_of_named(&folder.join("additional_chat_templates/tool_use.jinja"))?;
            (file, text, more)
        } else {
            match config.get("chat_template") {
                None | Some(Json::Null) => return Ok(None),
                Some(Json::String(text)) => (settings.clone(), text.clone(), None),
                Some(Json::Array(named)) => {
                    let find = |name: &str| {
                        let entry = named.iter().find(|entry| entry["name"] == name)?;
                        entry["template"].as_str().map(str::to_string)
                    };
                    let default = find("default").ok_or_else(|| {
                        broken(&settings, "chat_template is a list without one named \"default\"")
                    })?;
                    (settings.clone(), default, find("tool_use"))
                }
                Some(_) => {
                    return Err(broken(
                        &settings,
                        "chat_template is neither a text nor a list of named texts",
                    ));
                }
            }
        };
        // `transformers` reads older folders like this: the map overrides the settings.
        let map = match config.get("added_tokens_decoder") {
            Some(_) => Map::new(),
            None => object(&folder.join("special_tokens_map.json"))?.unwrap_or_default(),
        };
        let token = |name: &&str| {
            let value = map.get(*name).or_else(|| config.get(*name))?;
            let text = value.as_str().or_else(|| value["content"].as_str())?;
            Some(((*name).to_string(), Json::from(text)))
        };
        let model = object(&folder.join("config.json"))?.unwrap_or_default();
        let generation = object(&folder.join("generation_config.json"))?.unwrap_or_default();
        let ends = [&generation, &model].into_iter().find_map(|config| ids(config.get("eos_token_id")?));
        Ok(Some(Self {
            place,
            template,
            tool_use,
            tokens: TOKEN_NAMES.iter().filter_map(token).collect(),
            ends: ends.unwrap_or_default(),
            family: model.get("model_type").and_then(Json::as_str).unwrap_or_default().into(),
        }))
    }
}

fn broken(place: &Path, message: &str) -> ChatError {
    ChatError::Folder { place: place.into(), message: message.into() }
}

/// Most bytes of a file.
const LARGEST: u64 = 1 << 26;

/// Returns a file's text; none if there is no such file.
fn text(path: &Path) -> Result<Option<String>, ChatError> {
    match turnwise_files::read(path, LARGEST) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| broken(path, "not UTF-8 text")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(path, &error.to_string())),
    }
}

fn text_of_named(path: &Path) -> Result<Option<String>, ChatError> {
    // The folder of named templates may be absent as a whole.
    if path.is_file() { text(path) } else { Ok(None) }
}

fn object(path: &Path) -> Result<Option<Map<String, Json>>, ChatError> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_slice(&with_tagged_floats(text.as_bytes()))
        .map(Some)
        .map_err(|error| broken(path, &format!("not a JSON object: {error}")))
}

/// Returns one id or several.
fn ids(value: &Json) -> Option<Vec<TokenId>> {
    let id = |value: &Json| value.as_u64().and_then(|id| TokenId::try_from(id).ok());
    match value {
        Json::Array(ids) => ids.iter().map(id).collect(),
        one => Some(vec![id(one)?]),
    }
}
