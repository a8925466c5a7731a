//! Chooses the chat format of a run: the folder's template, or a named format.

use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;
use turnwise_runfile::names;
use turnwise_tools::FormatName;
use turnwise_tools::format::Hermes;

use super::spelling::Spelling;
use super::{Calls, ChatError, ChatFolder, ChatFormat, ChatMl, Moment, Rendering, TemplateChat};

names! {
    /// Names a chat format.
    #[derive(Default)]
    pub enum ChatName("chat format") {
        /// The folder's template, or ChatML if it has none. A Qwen3 model whose template rewrites earlier
        /// turns gets `qwen3`.
        #[default]
        "auto" => Auto,
        /// The folder's template, without a fallback.
        "template" => Template,
        /// `<|im_start|>role\n…<|im_end|>\n`, whatever the folder has.
        "chatml" => ChatMl,
        /// Qwen3's messages and tools without its rewriting: thoughts of earlier turns stay, and none is
        /// added.
        "qwen3" => Qwen3,
    }
}

const QWEN3: &str = include_str!("qwen3.jinja");
const CHATML: &str = include_str!("chatml.jinja");

/// Opens a chat format over a model folder's tokenizer. A model that is made from nothing has no folder yet.
/// `now` is the date that a template shows.
pub fn open(
    name: ChatName,
    folder: Option<&Path>,
    tokenizer: Tokenizer,
    calls: Calls<'_>,
    now: Moment,
) -> Result<Box<dyn ChatFormat>, ChatError> {
    if name == ChatName::ChatMl {
        return Ok(Box::new(ChatMl::new(tokenizer)?));
    }
    let own = folder.map(ChatFolder::read).transpose()?.flatten();
    let place = folder.unwrap_or(Path::new("tokenizer_config.json"));
    let nothing = || no_template(place);
    let qwen3 = |own: Option<&ChatFolder>| {
        let plain = own.ok_or_else(nothing)?;
        let fixed = ChatFolder { template: QWEN3.into(), tool_use: None, ..plain.clone() };
        TemplateChat::new(&fixed, tokenizer.clone(), calls, now)
    };
    Ok(match (name, &own) {
        (ChatName::Qwen3, own) => Box::new(qwen3(own.as_ref())?),
        (ChatName::Auto, None) => Box::new(ChatMl::new(tokenizer)?),
        (_, None) => return Err(nothing()),
        (_, Some(own)) => match TemplateChat::new(own, tokenizer.clone(), calls, now) {
            Err(ChatError::Rewrites { .. }) if name == ChatName::Auto && own.family == "qwen3" => {
                Box::new(qwen3(Some(own))?)
            }
            opened => Box::new(opened?),
        },
    })
}

/// Opens a template for whole conversations that others wrote.
///
/// `auto` is the folder's, even if it rewrites earlier turns, or ChatML if it has none.
pub fn rendering(
    name: ChatName,
    folder: Option<&Path>,
    tokenizer: Tokenizer,
    now: Moment,
) -> Result<Rendering, ChatError> {
    let own = folder.map(ChatFolder::read).transpose()?.flatten();
    let of_ours = |own: Option<ChatFolder>, template: &str| ChatFolder {
        template: template.into(),
        tool_use: None,
        ..own.unwrap_or_default()
    };
    let chosen = match (name, own) {
        (ChatName::ChatMl, own) | (ChatName::Auto, own @ None) => of_ours(own, CHATML),
        (ChatName::Qwen3, own @ Some(_)) => of_ours(own, QWEN3),
        (_, Some(own)) => own,
        (_, None) => return Err(no_template(folder.unwrap_or(Path::new("tokenizer_config.json")))),
    };
    Rendering::new(&chosen, tokenizer, now)
}

/// Chooses the template for conversations of clients, by the rules of [`open`]. ChatML is a template here.
pub(super) fn template(
    name: ChatName,
    folder: &Path,
    spelling: &Arc<Spelling>,
    now: Moment,
) -> Result<ChatFolder, ChatError> {
    let own = ChatFolder::read(folder)?;
    let of_ours = |template: &str| ChatFolder {
        template: template.into(),
        tool_use: None,
        ..own.clone().unwrap_or_default()
    };
    let fits = |own: &ChatFolder| {
        let calls = Calls { format: &Hermes, tools: &[], describe: false };
        TemplateChat::over(own, spelling.clone(), calls, now)
    };
    Ok(match (name, &own) {
        (ChatName::ChatMl, _) | (ChatName::Auto, None) => of_ours(CHATML),
        (_, None) => return Err(no_template(folder)),
        (ChatName::Qwen3, Some(_)) => of_ours(QWEN3),
        (ChatName::Template, Some(own)) => own.clone(),
        (ChatName::Auto, Some(own)) => match fits(own) {
            Err(ChatError::Rewrites { .. }) if own.family == "qwen3" => of_ours(QWEN3),
            _ => own.clone(),
        },
    })
}

/// Returns the format in which a folder's model writes calls. The folder's template shows it, or else its
/// tokens, and Hermes is taken if neither does. A model that is made from nothing has no folder yet.
///
/// # Errors
/// If the folder's chat settings can't be read.
pub fn call_format(folder: Option<&Path>, tokenizer: &Tokenizer) -> Result<FormatName, ChatError> {
    let own = folder.map(ChatFolder::read).transpose()?.flatten().unwrap_or_default();
    Ok(written(&own, |token| tokenizer.token_to_id(token).is_some()))
}

/// Works as [`call_format`], for a folder that has been read.
pub(super) fn written(folder: &ChatFolder, is_token: impl Fn(&str) -> bool) -> FormatName {
    let template = [Some(&folder.template), folder.tool_use.as_ref()];
    let template: String = template.into_iter().flatten().map(String::as_str).collect();
    FormatName::of_folder(&template, is_token).unwrap_or(FormatName::Hermes)
}

fn no_template(place: &Path) -> ChatError {
    ChatError::Folder {
        place: place.into(),
        message: "there is no chat template\n  hint: rollout.chat = \"chatml\" needs none".into(),
    }
}
