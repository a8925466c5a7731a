//! Chat formats: messages to tokens. One file each.

mod charsmap;
mod chatml;
mod choice;
mod folder;
mod preserving;
mod spelling;
mod template;
mod thought;
mod token_bytes;
mod tokenizer_file;

use std::path::PathBuf;

use turnwise_tools::format::Opening;
use turnwise_trajectory::{Message, TokenId};

pub use chatml::ChatMl;
pub use choice::{ChatName, open};
pub use folder::ChatFolder;
pub use spelling::decode;
pub use template::{Calls, TemplateChat, prompt};
pub use tokenizer_file::load_tokenizer;
pub use turnwise_jinja::Moment;

/// A chat format that can't be used, or that can't spell a conversation.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The tokenizer lacks what a chat format needs.
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
        /// What is wrong with it.
        message: String,
    },
    /// The template writes earlier turns anew: what a policy sampled would change under it.
    #[error(
        "{}: the chat template rewrites the conversation: {message}\n  hint: rollout.chat = \"chatml\" or \"qwen3\" keeps every turn as it was sampled, if the model speaks it",
        place.display()
    )]
    Rewrites {
        /// The file.
        place: PathBuf,
        /// What changes, into what.
        message: String,
    },
    /// The template refuses a conversation.
    #[error("the chat template refuses the conversation: {0}")]
    Refused(String),
}

/// How a conversation is spelled in tokens. The delta of every following turn is appended to what is there, so a
/// format is prefix-preserving by construction.
pub trait ChatFormat: Send + Sync {
    /// The opening messages and the start of the first assistant turn.
    fn open(&self, messages: &[Message]) -> Result<Vec<TokenId>, ChatError>;

    /// What follows an assistant turn: its end, if the policy did not sample it (`closed`), the messages, and the
    /// start of the next assistant turn.
    fn follow(&self, messages: &[Message], closed: bool) -> Result<Vec<TokenId>, ChatError>;

    /// Tokens that end an assistant turn. The first is what a finished turn ends with.
    fn stop_tokens(&self) -> &[TokenId];

    /// Text of sampled tokens, without stop tokens.
    fn text(&self, tokens: &[TokenId]) -> String;

    /// The bytes of one sampled token, which may be a part of a character. A stop token has none.
    fn bytes(&self, token: TokenId) -> Vec<u8>;

    /// Tokens of plain text. Chat tokens spelled out in it stay text.
    fn tokens(&self, text: &str) -> Vec<TokenId>;

    /// Tokens that an assistant turn of this text would be sampled as, without its end.
    fn turn(&self, text: &str) -> Vec<TokenId> {
        self.tokens(text)
    }

    /// Where a turn begins: inside a thought, if prompts end with an open one.
    fn opening(&self) -> Opening {
        Opening::Answer
    }

    /// Whether the format itself describes the tools in its prompt and marks their outputs. Otherwise the call format
    /// does both.
    fn shows_tools(&self) -> bool {
        false
    }
}
