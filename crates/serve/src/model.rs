//! The model as text: its name, its chat template, its tokenizer.

use std::path::Path;

use tokenizers::Tokenizer;
use turnwise_rollout::chat::{ChatError, ChatName, Dialogues, Moment, decode};
use turnwise_tools::FormatName;
use turnwise_trajectory::TokenId;

/// Says how a model's conversations are written.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The chat format.
    pub chat: ChatName,
    /// How calls are written; without one, as the folder's template does.
    pub format: Option<FormatName>,
    /// Whether prompts describe the tools.
    pub describe: bool,
}

/// Holds what texts and tokens of a model need.
pub struct Model {
    id: String,
    tokenizer: Tokenizer,
    dialogues: Dialogues,
    /// Tokens that end a text without a chat.
    ends: Vec<TokenId>,
}

impl Model {
    /// Opens a model folder.
    ///
    /// - `ends`: the tokens that end a text
    ///
    /// # Errors
    /// If the chat template can't be used.
    pub fn open(
        folder: &Path,
        tokenizer: Tokenizer,
        ends: Vec<TokenId>,
        style: Style,
        now: Moment,
    ) -> Result<Self, ChatError> {
        let Style { chat, format, describe } = style;
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let id = whole.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned());
        let dialogues = Dialogues::open(chat, folder, tokenizer.clone(), format, describe, now)?;
        Ok(Self { id, tokenizer, dialogues, ends })
    }

    /// Returns the name of the model in answers: that of its folder.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the name of the call format.
    pub fn format(&self) -> &'static str {
        self.dialogues.format().name()
    }

    pub(crate) fn dialogues(&self) -> &Dialogues {
        &self.dialogues
    }

    pub(crate) fn ends(&self) -> &[TokenId] {
        &self.ends
    }

    /// Returns the tokens of a text, with those that the tokenizer puts around it.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<TokenId>, String> {
        let encoding = self.tokenizer.encode(text, true).map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Returns the text of tokens.
    pub(crate) fn decode(&self, tokens: &[TokenId]) -> String {
        decode(&self.tokenizer, tokens)
    }

    /// Returns the bytes of one token, which may be a part of a character.
    pub(crate) fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.dialogues.bytes(token)
    }
}
