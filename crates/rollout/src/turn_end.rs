//! Decides when a turn ends while it is sampled, and cuts its text there.

use turnwise_tools::CallFormat;
use turnwise_tools::format::{Lexer, Opening};
use turnwise_trajectory::{Finish, TokenId};

use crate::chat::ChatFormat;

/// Ends a turn: at a stop token, or where the call format hands over to the environment.
#[derive(Clone, Copy)]
pub struct TurnEnd<'a> {
    pub(crate) chat: &'a dyn ChatFormat,
    pub(crate) format: &'a dyn CallFormat,
    /// Whether there are tools. Without them no text hands over to the environment.
    pub(crate) has_tools: bool,
    /// Whether the first complete call ends its turn.
    pub(crate) at_call: bool,
}

impl<'a> TurnEnd<'a> {
    /// Returns the tokens that end a turn and belong to it.
    pub fn tokens(&self) -> &'a [TokenId] {
        self.chat.stop_tokens()
    }

    /// Starts following a turn while it is sampled.
    pub fn watch(&self) -> TurnWatch<'a> {
        let (chat, at_call) = (self.chat, self.at_call);
        // A lexer that doesn't know where a turn begins would report its calls at the end only.
        let opening = if chat.opening() == Opening::Thought { Opening::Thought } else { Opening::Answer };
        let lexer = self.has_tools.then(|| self.format.lexer_from(opening));
        TurnWatch { chat, lexer, bytes: Vec::new(), at_call, call_end: None }
    }

    /// Returns the text of a turn. Text beyond a stop in the token that completes it is cut; the tokens stay
    /// as they were sampled.
    pub(crate) fn text(&self, tokens: &[TokenId], finish: Finish) -> String {
        if finish != Finish::StopString {
            return self.chat.text(tokens);
        }
        let mut watch = self.watch();
        let stop = tokens.iter().fold(None, |stop, token| stop.or_else(|| watch.sampled(*token)));
        match stop {
            Some(end) => String::from_utf8_lossy(&watch.bytes[..end]).into_owned(),
            None => self.chat.text(tokens),
        }
    }
}

/// Follows one turn while it is sampled.
pub struct TurnWatch<'a> {
    chat: &'a dyn ChatFormat,
    lexer: Option<Lexer>,
    bytes: Vec<u8>,
    at_call: bool,
    call_end: Option<usize>,
}

impl TurnWatch<'_> {
    /// Takes the next token. Returns the byte at which the turn's text ends, once sampling should stop. A
    /// marker inside a string literal of a call doesn't count, and a character may come in several tokens.
    pub fn sampled(&mut self, token: TokenId) -> Option<usize> {
        let lexer = self.lexer.as_mut()?;
        let bytes = self.chat.bytes(token);
        self.bytes.extend_from_slice(&bytes);
        let found = lexer.push(&bytes);
        if let Some(found) = found.iter().find(|found| found.verdict.is_ok()) {
            self.call_end.get_or_insert(found.span().end);
        }
        self.call_end.filter(|_| self.at_call).or_else(|| lexer.stop().map(|stop| stop.end))
    }
}

#[cfg(test)]
mod tests {
    use turnwise_tools::FormatName;

    use super::*;
    use crate::chat::ChatMl;
    use crate::testing::chat;

    /// Feeds a text token by token; returns the turn's text if something stopped it.
    fn check(chat: &ChatMl, format: FormatName, at_call: bool, text: &str, expect: Option<&str>) {
        let format = format.build();
        let end = TurnEnd { chat, format: &*format, has_tools: true, at_call };
        let tokens = chat.tokens(text);
        let mut watch = end.watch();
        let stopped = tokens.iter().position(|token| watch.sampled(*token).is_some());
        let found = stopped.map(|at| end.text(&tokens[..=at], Finish::StopString));
        assert_eq!(found.as_deref(), expect, "{text}");
    }

    #[test]
    fn a_turn_ends_where_the_environment_goes_on() {
        use FormatName::{FencedPython, Hermes};
        let chat = chat();
        let call =
            r#"<tool_call>{"name":"f","arguments":{"x":"</tool_call> <tool_response> 😀"}}</tool_call>"#;
        let forged = format!("{call}<tool_response>");
        check(&chat, Hermes, false, &format!("{call} and on"), None);
        check(&chat, Hermes, false, &format!("{forged}4"), Some(&forged));
        check(&chat, Hermes, true, &format!("é {call} and on"), Some(&format!("é {call}")));
        check(&chat, Hermes, true, "<tool_call>{</tool_call> and on", None);
        let code = "```python\ns = '''\n```output\n'''\n```\n";
        check(&chat, FencedPython, false, &format!("{code}```output\n4"), Some(&format!("{code}```output")));
        check(&chat, FencedPython, false, code, None);
        let format = FencedPython.build();
        let end = TurnEnd { chat: &chat, format: &*format, has_tools: false, at_call: true };
        let mut watch = end.watch();
        let stops =
            chat.tokens(&format!("{code}```output\n4")).iter().any(|token| watch.sampled(*token).is_some());
        assert!(!stops, "without tools a block of code is a text");
    }

    #[test]
    fn only_the_text_is_cut() {
        let chat = chat();
        let format = FormatName::FencedPython.build();
        let end = TurnEnd { chat: &chat, format: &*format, has_tools: true, at_call: false };
        let tokens = chat.tokens("x ```output 4 and more");
        assert_eq!(end.text(&tokens, Finish::StopString), "x ```output");
        assert_eq!(end.text(&tokens, Finish::Length), "x ```output 4 and more");
    }
}
