//! A model folder's chat template for conversations that clients keep: any tools, messages in OpenAI's form.
//!
//! A conversation is encoded as a whole ([`Dialogue::prompt`]), or after a turn that was sampled
//! ([`Dialogue::after`]), whose tokens stay as they were. Both write what the in-process chat format writes.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;
use turnwise_jinja::Moment;
use turnwise_tools::{CallFormat, FormatName, ToolSpec};
use turnwise_trajectory::{Finish, MalformedCall, Message, Role, TokenId, ToolCall};

use super::choice::{ChatName, template, written};
use super::folder::ChatFolder;
use super::spelling::Spelling;
use super::template::{Calls, TemplateChat};
use super::tool_message::call_id;
use super::{ChatError, ChatFormat};
use crate::calls::calls;
use crate::messages::offer;
use crate::turn_end::TurnEnd;

/// Most lists of tools whose templates are kept.
const KEPT: usize = 64;

/// Opens dialogues with any tools over one tokenizer.
pub struct Dialogues {
    folder: ChatFolder,
    spelling: Arc<Spelling>,
    format: Arc<dyn CallFormat>,
    describe: bool,
    now: Moment,
    /// The last dialogues by their tools, newest last.
    kept: Mutex<VecDeque<Arc<Dialogue>>>,
}

/// Encodes conversations with one list of tools.
pub struct Dialogue {
    chat: TemplateChat,
    format: Arc<dyn CallFormat>,
    tools: Vec<ToolSpec>,
    describe: bool,
}

/// Holds a turn that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The text of its tokens.
    pub text: String,
    /// Its calls, in order.
    pub calls: Vec<Result<ToolCall, MalformedCall>>,
}

impl Dialogues {
    /// Opens the folder's template; `now` is the date that it shows.
    ///
    /// - `format`: how calls are written; `None` takes the format of the folder, as
    ///   [`call_format`](super::call_format) does
    /// - `describe`: whether prompts describe the tools
    ///
    /// # Errors
    /// As [`TemplateChat::new`].
    pub fn open(
        name: ChatName,
        folder: &Path,
        tokenizer: Tokenizer,
        format: Option<FormatName>,
        describe: bool,
        now: Moment,
    ) -> Result<Self, ChatError> {
        let spelling = Arc::new(Spelling::new(tokenizer));
        let folder = template(name, folder, &spelling, now)?;
        let format = format
            .unwrap_or_else(|| written(&folder, |token| spelling.token(token).is_some()))
            .build()
            .into();
        let dialogues = Self { folder, spelling, format, describe, now, kept: Mutex::default() };
        dialogues.with(&[])?;
        Ok(dialogues)
    }

    /// Returns how calls are written.
    pub fn format(&self) -> &dyn CallFormat {
        &*self.format
    }

    /// Returns the bytes of one token, which may be a part of a character.
    pub fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.spelling.bytes(token)
    }

    /// Returns dialogues with these tools.
    ///
    /// # Errors
    /// If the template rewrites earlier turns where these tools are on offer.
    pub fn with(&self, tools: &[ToolSpec]) -> Result<Arc<Dialogue>, ChatError> {
        // The lock is held only to look and to add, so a poisoned list is a whole one.
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().iter().find(|dialogue| dialogue.tools == tools).cloned();
        if let Some(dialogue) = found {
            return Ok(dialogue);
        }
        let calls = Calls { format: &*self.format, tools, describe: self.describe };
        let chat = TemplateChat::over(&self.folder, self.spelling.clone(), calls, self.now)?;
        let (format, describe) = (self.format.clone(), self.describe);
        let dialogue = Arc::new(Dialogue { chat, format, tools: tools.to_vec(), describe });
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(dialogue.clone());
        Ok(dialogue)
    }
}

impl Dialogue {
    /// Returns the tokens of a conversation, with the start of the assistant's next turn.
    ///
    /// Messages have `role` (`system`, `user`, `assistant` or `tool`), `content`, `tool_calls` with arguments
    /// as objects, and `tool_call_id` with the `name` of the tool.
    ///
    /// # Errors
    /// If the template refuses the conversation.
    pub fn prompt(&self, messages: &[Json]) -> Result<Vec<TokenId>, ChatError> {
        let mut messages = self.written(messages);
        if self.describe && !self.chat.shows_tools() && !self.tools.is_empty() {
            let first = messages.first().filter(|first| first["role"] == Role::System.name());
            let system = first.and_then(|first| first["content"].as_str());
            let system: Vec<Message> = system.iter().map(|text| Message::new(Role::System, *text)).collect();
            let skipped = system.len();
            let offered = offer(system, &*self.format, &self.tools);
            let offered = offered.into_iter().map(|m| json!({"role": m.role.name(), "content": m.content}));
            messages.splice(..skipped, offered);
        }
        self.chat.whole(&self.chat.conversation(messages))
    }

    /// Returns the tokens of messages after an assistant turn, and the start of the next one; see
    /// [`ChatFormat::follow`].
    ///
    /// # Errors
    /// If the template refuses the messages there.
    pub fn after(&self, messages: &[Json], closed: bool) -> Result<Vec<TokenId>, ChatError> {
        self.chat.next(&self.chat.conversation(self.written(messages)), closed)
    }

    /// Returns the chat format of its turns.
    pub fn chat(&self) -> &dyn ChatFormat {
        &self.chat
    }

    /// Returns how calls are written.
    pub fn format(&self) -> &dyn CallFormat {
        &*self.format
    }

    /// Returns the tools on offer.
    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// Reads a turn that was sampled as a run does: its text, and its calls.
    ///
    /// - `forced`: tokens of the turn that its prompt held
    /// - `at_call`: whether the first complete call ended it
    pub fn read(&self, forced: &[TokenId], sampled: &[TokenId], finish: Finish, at_call: bool) -> Read {
        let end =
            TurnEnd { chat: &self.chat, format: &*self.format, has_tools: !self.tools.is_empty(), at_call };
        let text = end.text(sampled, finish);
        let whole = self.chat.text(forced) + &text;
        let calls = calls(&*self.format, self.chat.opening(), &whole, &self.tools);
        Read { text, calls }
    }

    /// Writes calls and outputs of tools into the text of messages, unless the template does.
    fn written(&self, messages: &[Json]) -> Vec<Json> {
        let output =
            |id: &Json| messages.iter().position(|m| m["role"] == "tool" && m["tool_call_id"] == *id);
        let mut all = Vec::new();
        for (position, message) in messages.iter().enumerate() {
            let mut text = message["content"].as_str().unwrap_or_default().to_string();
            let mut written = json!({"role": message["role"]});
            let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
            if self.chat.shows_tools() {
                let native = |(nth, call): (usize, &Json)| {
                    let id = call_id(output(&call["id"]).unwrap_or(position + nth + 1));
                    json!({"id": id, "type": "function", "function": call["function"]})
                };
                if !calls.is_empty() {
                    written["tool_calls"] = calls.iter().enumerate().map(native).collect();
                }
                if message["name"].is_string() {
                    written["name"] = message["name"].clone();
                }
            } else if message["role"] == Role::Tool.name() {
                text = self.format.render_output(&text);
            } else {
                for call in calls {
                    if !text.is_empty() && !text.ends_with('\n') {
                        text.push('\n');
                    }
                    text.push_str(&self.format.render(&called(call)));
                }
            }
            written["content"] = text.into();
            all.push(written);
        }
        all
    }
}

/// Returns a call of a message in OpenAI's form.
fn called(call: &Json) -> ToolCall {
    let function = &call["function"];
    let arguments = function["arguments"].as_object().cloned().unwrap_or_default();
    ToolCall { name: function["name"].as_str().unwrap_or_default().into(), arguments, span: 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{load_tokenizer, open};

    /// Compares with the chat format of a run, whose messages hold what the call format writes.
    #[test]
    fn a_clients_conversation_is_spelled_as_in_a_run() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
        let tokenizer = load_tokenizer(&folder.join("tokenizer.json")).unwrap();
        let tools = [ToolSpec::python()];
        let hermes = FormatName::Hermes.build();
        for (name, native) in [(ChatName::Auto, false), (ChatName::Qwen3, true)] {
            let calls = Calls { format: &*hermes, tools: &tools, describe: true };
            let run = open(name, Some(&folder), tokenizer.clone(), calls, Moment::now()).unwrap();
            let dialogues =
                Dialogues::open(name, &folder, tokenizer.clone(), None, true, Moment::now()).unwrap();
            let dialogue = dialogues.with(&tools).unwrap();
            assert_eq!((run.shows_tools(), dialogue.chat().shows_tools()), (native, native));
            let opening = vec![Message::new(Role::System, "Be short."), Message::new(Role::User, "2 + 2?")];
            let told = if native { opening.clone() } else { offer(opening.clone(), &*hermes, &tools) };
            let json: Vec<Json> =
                opening.iter().map(|m| json!({"role": m.role.name(), "content": m.content})).collect();
            assert_eq!(dialogue.prompt(&json).unwrap(), run.open(&told).unwrap());
            let output = if native { "4".to_string() } else { hermes.render_output("4") };
            let tool = json!({"role": "tool", "content": "4", "tool_call_id": "a"});
            for closed in [false, true] {
                assert_eq!(
                    dialogue.after(std::slice::from_ref(&tool), closed).unwrap(),
                    run.follow(&[Message::new(Role::Tool, output.clone())], closed).unwrap()
                );
            }
        }
    }
}
