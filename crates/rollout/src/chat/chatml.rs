//! ChatML, as Qwen2.5 and SmolLM2 speak it: `<|im_start|>role\n…<|im_end|>\n`. Tool output is a user message, as in
//! Qwen's template.

use tokenizers::Tokenizer;
use turnwise_trajectory::{Message, Role, TokenId};

use super::{ChatError, ChatFormat};

/// ChatML over a tokenizer.
pub struct ChatMl {
    /// Reads `<|im_start|>` in text as letters: nobody but this format writes chat tokens.
    tokenizer: Tokenizer,
    start: TokenId,
    end: TokenId,
    stop: Vec<TokenId>,
}

impl ChatMl {
    /// Fails if the tokenizer lacks `<|im_start|>` or `<|im_end|>`.
    pub fn new(mut tokenizer: Tokenizer) -> Result<Self, ChatError> {
        let find = |token: &str| {
            tokenizer.token_to_id(token).ok_or(ChatError { format: "chatml", token: token.to_string() })
        };
        let (start, end) = (find("<|im_start|>")?, find("<|im_end|>")?);
        let stop = [Some(end), tokenizer.token_to_id("<|endoftext|>")].into_iter().flatten().collect();
        tokenizer.set_encode_special_tokens(true);
        Ok(Self { tokenizer, start, end, stop })
    }

    fn message(&self, message: &Message, into: &mut Vec<TokenId>) {
        let role = if message.role == Role::Tool { Role::User } else { message.role };
        into.push(self.start);
        into.extend(self.tokens(&format!("{}\n{}", role.name(), message.content)));
        into.push(self.end);
        into.extend(self.tokens("\n"));
    }

    fn assistant(&self, into: &mut Vec<TokenId>) {
        into.push(self.start);
        into.extend(self.tokens("assistant\n"));
    }
}

impl ChatFormat for ChatMl {
    fn open(&self, messages: &[Message]) -> Vec<TokenId> {
        let mut tokens = Vec::new();
        for message in messages {
            self.message(message, &mut tokens);
        }
        self.assistant(&mut tokens);
        tokens
    }

    fn follow(&self, messages: &[Message], closed: bool) -> Vec<TokenId> {
        let mut tokens = if closed { Vec::new() } else { vec![self.end] };
        tokens.extend(self.tokens("\n"));
        for message in messages {
            self.message(message, &mut tokens);
        }
        self.assistant(&mut tokens);
        tokens
    }

    fn stop_tokens(&self) -> &[TokenId] {
        &self.stop
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        let plain: Vec<TokenId> = tokens.iter().copied().filter(|token| !self.stop.contains(token)).collect();
        // Bytes that are no UTF-8 become replacement characters: bad model output is data.
        self.tokenizer.decode(&plain, false).unwrap_or_default()
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => encoding.get_ids().to_vec(),
            Err(error) => unreachable!("a loaded tokenizer encodes any text: {error}"),
        }
    }
}
