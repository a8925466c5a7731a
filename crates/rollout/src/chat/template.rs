//! The chat template of a model folder as a chat format.
//!
//! The template renders the opening messages as the first prompt. The text after a turn is rendered in a
//! small conversation of the same shape and appended to the exact tokens: sampled tokens are never rendered
//! again. This equals rendering the whole conversation only if the template never rewrites earlier text;
//! [`TemplateChat::new`] refuses one that does.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokenizers::Tokenizer;
use turnwise_jinja::{Conversation, Moment, Template};
use turnwise_tools::format::Opening;
use turnwise_tools::{CallFormat, ToolSpec};
use turnwise_trajectory::{Message, Role, TokenId};

use super::folder::ChatFolder;
use super::preserving::{Shape, check};
use super::spelling::{Guarded, Spelling};
use super::{ChatError, ChatFormat};

/// Holds the tools of an environment and the call format.
#[derive(Clone, Copy)]
pub struct Calls<'a> {
    /// The call format of the run.
    pub format: &'a dyn CallFormat,
    /// The tools on offer.
    pub tools: &'a [ToolSpec],
    /// Whether the prompt describes the tools.
    pub describe: bool,
}

/// Formats conversations by a chat template.
pub struct TemplateChat {
    template: Template,
    spelling: Arc<Spelling>,
    /// Tools that the template describes itself.
    tools: Option<Vec<Json>>,
    shape: Shape,
    /// The token that ends a turn, as text.
    end: String,
    stop: Vec<TokenId>,
}

/// Placeholder of an assistant's text when only the text after it is needed.
const SAID: &str = "what-the-assistant-said";

impl TemplateChat {
    /// Returns the format of a folder's template; `now` is the date that it shows. Fails if it rewrites
    /// earlier turns, or can't show a tool's output.
    pub fn new(
        folder: &ChatFolder,
        tokenizer: Tokenizer,
        calls: Calls<'_>,
        now: Moment,
    ) -> Result<Self, ChatError> {
        Self::over(folder, Arc::new(Spelling::new(tokenizer)), calls, now)
    }

    /// Makes the same as [`TemplateChat::new`], over a tokenizer that others share.
    pub(super) fn over(
        folder: &ChatFolder,
        spelling: Arc<Spelling>,
        calls: Calls<'_>,
        now: Moment,
    ) -> Result<Self, ChatError> {
        let with_tools = folder.tool_use.as_ref().filter(|_| !calls.tools.is_empty());
        let source = with_tools.unwrap_or(&folder.template);
        let failed = |message: String| ChatError::Folder {
            place: folder.place.clone(),
            message: format!("the chat template: {message}"),
        };
        let template = Template::new(source, folder.tokens.clone(), now).map_err(|e| failed(e.0))?;
        let offered: Vec<Json> = calls
            .tools
            .iter()
            .map(|tool| serde_json::to_value(tool).expect("a tool's description is JSON"))
            .collect();
        let shape = check(&template, source, &offered, calls.format).map_err(|error| match error {
            super::preserving::Unfit::Rewrites(message) => {
                ChatError::Rewrites { place: folder.place.clone(), message }
            }
            super::preserving::Unfit::Fails(message) => failed(message),
        })?;
        let tools = (shape.native && calls.describe && !offered.is_empty()).then_some(offered);
        let mut chat = Self { template, spelling, tools, shape, end: String::new(), stop: Vec::new() };
        let tail = chat.behind(&[], false).map_err(failed)?;
        let unended =
            || failed(format!("no special token of the tokenizer ends a turn, but {:?}", first_of(&tail)));
        chat.end = chat.spelling.token_at_start(&tail).ok_or_else(unended)?.to_string();
        chat.stop.extend(chat.spelling.token(&chat.end));
        let named =
            folder.tokens.get("eos_token").and_then(Json::as_str).and_then(|t| chat.spelling.token(t));
        for token in folder.ends.iter().copied().chain(named) {
            if !chat.stop.contains(&token) {
                chat.stop.push(token);
            }
        }
        Ok(chat)
    }

    /// Returns messages of a client in the form that the template takes; see [`Shape::conversation`].
    pub(super) fn conversation(&self, messages: Vec<Json>) -> Vec<Json> {
        self.shape.conversation(messages)
    }

    /// Encodes a conversation in the template's form, with the start of the next assistant turn.
    pub(super) fn whole(&self, messages: &[Json]) -> Result<Vec<TokenId>, ChatError> {
        spell(&self.template, &self.spelling, messages, self.tools.as_deref())
    }

    /// Encodes messages in the template's form after an assistant turn; see [`ChatFormat::follow`].
    pub(super) fn next(&self, messages: &[Json], closed: bool) -> Result<Vec<TokenId>, ChatError> {
        let mut guarded = Guarded::default();
        let mut messages = messages.to_vec();
        for message in &mut messages {
            let own = message["role"] == Role::Assistant.name();
            guard_all(message, &self.spelling, &mut guarded, own);
        }
        self.tail(&messages, &guarded, closed)
    }

    /// Encodes guarded messages after an assistant turn.
    fn tail(&self, messages: &[Json], guarded: &Guarded, closed: bool) -> Result<Vec<TokenId>, ChatError> {
        let tail = self.behind(messages, true).map_err(ChatError::Refused)?;
        let tokens = self.spelling.encode(&tail, guarded);
        if tokens.first() != self.stop.first() {
            return Err(ChatError::Refused(format!("an assistant turn doesn't end with {} here", self.end)));
        }
        Ok(if closed { tokens[1..].to_vec() } else { tokens })
    }

    /// Renders the text after an assistant turn, its end included.
    fn behind(&self, messages: &[Json], prompt: bool) -> Result<String, String> {
        let mut all =
            vec![json!({"role": "user", "content": "?"}), json!({"role": "assistant", "content": SAID})];
        all.extend_from_slice(messages);
        let conversation = Conversation {
            messages: &all,
            tools: self.tools.as_deref(),
            add_generation_prompt: prompt,
            ..Conversation::default()
        };
        let text = self.template.render(&conversation).map_err(|error| error.0)?;
        match text.split_once(SAID) {
            // Some templates put a space before the end of a turn; a policy's turn doesn't have it.
            Some((_, tail)) => Ok(tail.trim_start().to_string()),
            None => Err("it leaves out what the assistant said".into()),
        }
    }
}

impl ChatFormat for TemplateChat {
    fn open(&self, messages: &[Message]) -> Result<Vec<TokenId>, ChatError> {
        let messages = messages.iter().map(|message| (message.role, message.content.clone())).collect();
        let messages = self.shape.messages(messages);
        spell(&self.template, &self.spelling, &messages, self.tools.as_deref())
    }

    fn follow(&self, messages: &[Message], closed: bool) -> Result<Vec<TokenId>, ChatError> {
        let mut guarded = Guarded::default();
        let messages = messages
            .iter()
            .map(|message| (message.role, self.spelling.guard(&message.content, &mut guarded, false)))
            .collect();
        self.tail(&self.shape.messages(messages), &guarded, closed)
    }

    fn stop_tokens(&self) -> &[TokenId] {
        &self.stop
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        let plain: Vec<TokenId> = tokens.iter().copied().filter(|token| !self.stop.contains(token)).collect();
        self.spelling.decode(&plain)
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        if self.stop.contains(&token) { Vec::new() } else { self.spelling.bytes(token) }
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        self.spelling.letters(text)
    }

    fn turn(&self, text: &str) -> Vec<TokenId> {
        let mut guarded = Guarded::default();
        let text =
            self.shape.thought.as_ref().map_or_else(|| text.to_string(), |thought| thought.behind(text));
        let text = self.spelling.guard(&text, &mut guarded, true);
        // Encoded after the end token, as in the conversation: some tokenizers encode the start of a text
        // differently.
        let tokens = self.spelling.encode(&format!("{}{}{text}", self.end, self.shape.lead), &guarded);
        tokens[1..].to_vec()
    }

    fn opening(&self) -> Opening {
        let is_open = self.shape.thought.as_ref().is_some_and(|thought| thought.is_open);
        if is_open { Opening::Thought } else { Opening::Answer }
    }

    fn shows_tools(&self) -> bool {
        self.shape.native
    }
}

/// Encodes a conversation in OpenAI's form as a prompt by the folder's template. Also returns the tokens that
/// the folder says end a text. The template may rewrite earlier turns.
pub fn prompt(
    folder: &ChatFolder,
    tokenizer: Tokenizer,
    messages: &[Json],
    tools: Option<&[Json]>,
    now: Moment,
) -> Result<(Vec<TokenId>, Vec<TokenId>), ChatError> {
    let source = folder.tool_use.as_ref().filter(|_| tools.is_some()).unwrap_or(&folder.template);
    let template = Template::new(source, folder.tokens.clone(), now).map_err(|error| ChatError::Folder {
        place: folder.place.clone(),
        message: format!("the chat template: {error}"),
    })?;
    let spelling = Spelling::new(tokenizer);
    let tokens = spell(&template, &spelling, messages, tools)?;
    let mut ends = folder.ends.clone();
    let named = folder.tokens.get("eos_token").and_then(Json::as_str).and_then(|token| spelling.token(token));
    ends.extend(named.filter(|token| !folder.ends.contains(token)));
    Ok((tokens, ends))
}

/// Encodes a conversation, with the start of the next assistant turn. Chat tokens in messages stay text.
fn spell(
    template: &Template,
    spelling: &Spelling,
    messages: &[Json],
    tools: Option<&[Json]>,
) -> Result<Vec<TokenId>, ChatError> {
    let mut guarded = Guarded::default();
    let mut messages = messages.to_vec();
    for message in &mut messages {
        let own = message["role"] == Role::Assistant.name();
        guard_all(message, spelling, &mut guarded, own);
    }
    let mut tools = tools.map(<[Json]>::to_vec);
    tools.iter_mut().flatten().for_each(|tool| guard_all(tool, spelling, &mut guarded, false));
    let conversation = Conversation {
        messages: &messages,
        tools: tools.as_deref(),
        add_generation_prompt: true,
        ..Conversation::default()
    };
    let text = template.render(&conversation).map_err(|error| ChatError::Refused(error.0))?;
    Ok(spelling.encode(&text, &guarded))
}

/// Guards every text of a message or a tool, at any depth.
pub(super) fn guard_all(value: &mut Json, spelling: &Spelling, guarded: &mut Guarded, own: bool) {
    match value {
        Json::String(text) => *text = spelling.guard(text, guarded, own),
        Json::Array(items) => items.iter_mut().for_each(|item| guard_all(item, spelling, guarded, own)),
        Json::Object(pairs) => pairs.values_mut().for_each(|item| guard_all(item, spelling, guarded, own)),
        _ => {}
    }
}

/// Returns the first letters of a text, for an error.
fn first_of(text: &str) -> String {
    text.chars().take(16).collect()
}

#[cfg(test)]
#[path = "template/published/tests.rs"]
mod published;
#[cfg(test)]
mod tests;
