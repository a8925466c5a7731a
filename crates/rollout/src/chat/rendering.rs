//! Whole conversations of others by a chat template: the text that `transformers` makes of them, in tokens.
//!
//! [`ChatFormat`](super::ChatFormat) spells what a policy samples, turn by turn. Here a conversation is there
//! already, and each turn of the assistant is wanted as its prompt and its answer: see [`Script::prompted`].

use std::ops::Range;

use serde_json::Value as Json;
use tokenizers::Tokenizer;
use turnwise_jinja::{Conversation, Moment, Template};
use turnwise_trajectory::{Role, TokenId};

use super::ChatError;
use super::folder::ChatFolder;
use super::spelling::{Guarded, Spelling};
use super::template::guard_all;
use super::thought::Opening;

/// Renders whole conversations by a chat template, and encodes them.
pub struct Rendering {
    template: Template,
    /// The template for conversations with tools, if it is another one.
    tool_use: Option<Template>,
    spelling: Spelling,
}

/// Holds a conversation and its template.
pub struct Script<'a> {
    rendering: &'a Rendering,
    messages: Vec<Json>,
    tools: Option<Vec<Json>>,
    guarded: Guarded,
}

/// Holds a turn of the assistant with everything before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompted {
    /// The text, up to what the template writes after the turn.
    pub text: String,
    /// The bytes of `text` that the assistant wrote, the token that ends its turn included.
    pub turn: Range<usize>,
}

impl Rendering {
    /// Reads the template of a folder; `now` is the date that it shows.
    pub fn new(folder: &ChatFolder, tokenizer: Tokenizer, now: Moment) -> Result<Self, ChatError> {
        let read = |source: &String| {
            Template::new(source, folder.tokens.clone(), now).map_err(|error| ChatError::Folder {
                place: folder.place.clone(),
                message: format!("the chat template: {error}"),
            })
        };
        Ok(Self {
            template: read(&folder.template)?,
            tool_use: folder.tool_use.as_ref().map(read).transpose()?,
            spelling: Spelling::new(tokenizer),
        })
    }

    /// Takes in a conversation in OpenAI's form (`tool_calls` with arguments as objects) and the tools on
    /// offer. Chat tokens that a message spells stay letters.
    pub fn script(&self, messages: &[Json], tools: Option<&[Json]>) -> Script<'_> {
        let (mut guarded, spelling) = (Guarded::default(), &self.spelling);
        let mut messages = messages.to_vec();
        for message in &mut messages {
            let own = message["role"] == Role::Assistant.name();
            guard_all(message, spelling, &mut guarded, own);
        }
        let mut tools = tools.map(<[Json]>::to_vec);
        tools.iter_mut().flatten().for_each(|tool| guard_all(tool, spelling, &mut guarded, false));
        Script { rendering: self, messages, tools, guarded }
    }

    /// Returns the text of tokens, chat tokens spelled out.
    pub fn decode(&self, tokens: &[TokenId]) -> String {
        self.spelling.decode(tokens)
    }
}

impl Script<'_> {
    /// Returns the text of the first `count` messages. `prompt` adds the start of the assistant's next turn.
    /// Guarded pieces are marks, which only [`Script::tokens`] reads.
    pub fn text(&self, count: usize, prompt: bool) -> Result<String, ChatError> {
        let Rendering { template, tool_use, .. } = self.rendering;
        let template = tool_use.as_ref().filter(|_| self.tools.is_some()).unwrap_or(template);
        let conversation = Conversation {
            messages: &self.messages[..count],
            tools: self.tools.as_deref(),
            add_generation_prompt: prompt,
            ..Conversation::default()
        };
        template.render(&conversation).map_err(|error| ChatError::Refused(error.0))
    }

    /// Splits the assistant's message `index` into the prompt of the messages before it, and its completion.
    /// The text is the template's of the messages up to this one.
    ///
    /// Some templates end a prompt with an open thought that they leave out of a finished turn. There the
    /// text is the prompt, the message's thought and its end, and what the template writes of the turn.
    ///
    /// # Errors
    /// If the template refuses the messages, begins the turn otherwise than its prompt, or ends it without a
    /// special token.
    pub fn prompted(&self, index: usize) -> Result<Prompted, ChatError> {
        let (prompt, whole) = (self.text(index, true)?, self.text(index + 1, false)?);
        let start = prompt.len();
        let text = if whole.starts_with(&prompt) {
            whole
        } else {
            let behind = Opening::of(&prompt).and_then(|opening| {
                let said = whole.strip_prefix(opening.before(&prompt))?;
                Some(opening.behind_thought(self.thought(index), said.trim_start()))
            });
            let begins = || ChatError::Refused("an assistant turn doesn't begin as its prompt ends".into());
            prompt + &behind.ok_or_else(begins)?
        };
        let said = text[start..].trim_end();
        if self.rendering.spelling.special_at_end(said).is_none() {
            let last: String = said.chars().rev().take(16).collect::<Vec<_>>().into_iter().rev().collect();
            let message = format!("an assistant turn ends with {last:?}, and with no special token");
            return Err(ChatError::Refused(message));
        }
        let turn = start..start + said.len();
        Ok(Prompted { text, turn })
    }

    /// Returns the tokens of a text of this conversation, and those that lie in each of the byte ranges
    /// `spans`.
    pub fn tokens(&self, text: &str, spans: &[Range<usize>]) -> (Vec<TokenId>, Vec<Range<usize>>) {
        self.rendering.spelling.encode_spans(text, &self.guarded, spans)
    }

    /// Returns the thought of a message.
    fn thought(&self, index: usize) -> &str {
        let names = ["reasoning_content", "thinking", "reasoning"];
        names.iter().find_map(|name| self.messages[index][name].as_str()).unwrap_or_default()
    }
}
