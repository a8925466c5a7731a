//! Chat formats, from messages to tokens: one file each.

mod charsmap;
mod chatml;
mod choice;
mod dialogue;
mod folder;
mod preserving;
mod rendering;
mod spelling;
mod template;
mod thought;
mod token_bytes;
mod tokenizer_file;
mod tool_message;

use std::path::PathBuf;

use turnwise_tools::format::Opening;
use turnwise_trajectory::{Message, TokenId};

pub use chatml::ChatMl;
pub use choice::{ChatName, call_format, open, rendering};
pub use dialogue::{Dialogue, Dialogues, Read};
pub use folder::ChatFolder;
pub use rendering::{Prompted, Rendering, Script};
pub use spelling::decode;
pub use template::{Calls, TemplateChat, prompt};
pub use tokenizer_file::load_tokenizer;
pub use turnwise_jinja::Moment;

/// Says why a chat format can't be used, or can't render a conversation.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The tokenizer lacks a token of the chat format.
    #[error(
        "the tokenizer has no token {token}\n  hint: the {format} chat format needs it; was the model folder made for another one?"
    )]
    Token {
        /// The chat format.
        format: &'static str,
        /// The absent token.
        token: String,
    },
    /// The folder has no usable template.
    #[error("{}: {message}", place.display())]
    Folder {
        /// The file.
        place: PathBuf,
        /// The reason.
        message: String,
    },
    /// The template rewrites earlier turns, which would change sampled text.
    #[error(
        "{}: the chat template rewrites the conversation: {message}\n  hint: rollout.chat = \"chatml\" or \"qwen3\" keeps every turn as it was sampled, if the model speaks it",
        place.display()
    )]
    Rewrites {
        /// The file.
        place: PathBuf,
        /// The text before and after.
        message: String,
    },
    /// The template refuses a conversation.
    #[error("the chat template refuses the conversation: {0}")]
    Refused(String),
}

/// Encodes conversations as tokens. Each turn only appends to the tokens before it, so a format is
/// prefix-preserving by construction.
pub trait ChatFormat: Send + Sync {
    /// Returns the opening messages and the start of the first assistant turn.
    fn open(&self, messages: &[Message]) -> Result<Vec<TokenId>, ChatError>;

    /// Returns the tokens between an assistant turn and the next one. They are the end of the turn, unless
    /// the policy sampled it (`closed`), the messages, and the start of the next assistant turn.
    fn follow(&self, messages: &[Message], closed: bool) -> Result<Vec<TokenId>, ChatError>;

    /// Returns the tokens that end an assistant turn. A finished turn ends with the first of them.
    fn stop_tokens(&self) -> &[TokenId];

    /// Returns the text of sampled tokens, without stop tokens.
    fn text(&self, tokens: &[TokenId]) -> String;

    /// Returns the bytes of one sampled token, which may be a part of a character. A stop token has none.
    fn bytes(&self, token: TokenId) -> Vec<u8>;

    /// Returns the tokens of plain text. Chat tokens in it are encoded as text.
    fn tokens(&self, text: &str) -> Vec<TokenId>;

    /// Returns the tokens that an assistant would sample for this text, without the end of its turn.
    fn turn(&self, text: &str) -> Vec<TokenId> {
        self.tokens(text)
    }

    /// Returns the state in which a turn begins: inside a thought, if prompts end with an open one.
    fn opening(&self) -> Opening {
        Opening::Answer
    }

    /// Returns whether the format itself describes the tools in its prompt and marks their outputs. Otherwise
    /// the call format does both.
    fn shows_tools(&self) -> bool {
        false
    }
}
