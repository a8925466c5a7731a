//! Represents a conversation as a sequence of ids, one per message.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use turnwise_tools::format::Opening;
use turnwise_trajectory::{Message, Role, TokenId};

use crate::chat::{ChatError, ChatFormat};

/// Approximate length of a token's text. Limits of tool output count tokens, and the server's aren't known.
const LETTERS: usize = 4;

/// Holds the meaning of an id.
#[derive(Debug, Clone)]
enum Entry {
    Message(Role, String),
    /// A part of a text, for measuring.
    Part(String),
}

/// Maps messages to ids. One transcript serves all conversations of a play; clones share their ids.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    all: Vec<Entry>,
    /// Ids by speaker (empty for a part) and text.
    ids: HashMap<(&'static str, String), TokenId>,
}

impl Entries {
    fn id(&mut self, entry: Entry) -> TokenId {
        let key = match &entry {
            Entry::Message(role, text) => (role.name(), text.clone()),
            Entry::Part(text) => ("", text.clone()),
        };
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let id = TokenId::try_from(self.all.len()).expect("fewer than four thousand million messages");
        self.all.push(entry);
        self.ids.insert(key, id);
        id
    }
}

impl Transcript {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("no thread panicked")
    }

    /// Returns the id of a message.
    pub(super) fn id(&self, role: Role, text: &str) -> TokenId {
        self.entries().id(Entry::Message(role, text.into()))
    }

    /// Returns the conversation that ids stand for.
    pub(super) fn messages(&self, ids: &[TokenId]) -> Vec<Message> {
        let entries = self.entries();
        let message = |&id: &TokenId| match &entries.all[id as usize] {
            Entry::Message(role, text) => Some(Message::new(*role, text.clone())),
            Entry::Part(_) => None,
        };
        ids.iter().filter_map(message).collect()
    }
}

impl ChatFormat for Transcript {
    /// Returns `Unknown`: it depends on the server's template, and a server that parses thoughts leaves them
    /// out.
    fn opening(&self) -> Opening {
        Opening::Unknown
    }

    fn open(&self, messages: &[Message]) -> Result<Vec<TokenId>, ChatError> {
        Ok(messages.iter().map(|message| self.id(message.role, &message.content)).collect())
    }

    fn follow(&self, messages: &[Message], _closed: bool) -> Result<Vec<TokenId>, ChatError> {
        self.open(messages)
    }

    fn stop_tokens(&self) -> &[TokenId] {
        &[]
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        let entries = self.entries();
        let text = |&id: &TokenId| match &entries.all[id as usize] {
            Entry::Message(_, text) | Entry::Part(text) => text.clone(),
        };
        tokens.iter().map(text).collect()
    }

    fn bytes(&self, token: TokenId) -> Vec<u8> {
        self.text(&[token]).into_bytes()
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        let letters: Vec<char> = text.chars().collect();
        let mut entries = self.entries();
        letters.chunks(LETTERS).map(|part| entries.id(Entry::Part(part.iter().collect()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_goes_into_ids_and_back() {
        let transcript = Transcript::default();
        let opening = [Message::new(Role::System, "Be short."), Message::new(Role::User, "2+2")];
        let mut ids = transcript.open(&opening).unwrap();
        ids.push(transcript.id(Role::Assistant, "print(2+2)"));
        ids.extend(transcript.follow(&[Message::new(Role::Tool, "4")], true).unwrap());
        let texts: Vec<String> = transcript.messages(&ids).into_iter().map(|m| m.content).collect();
        assert_eq!(texts, ["Be short.", "2+2", "print(2+2)", "4"]);
        assert_eq!(transcript.text(&ids[2..3]), "print(2+2)");
        let parts = transcript.tokens("añ漢字bcd");
        assert_eq!((parts.len(), transcript.text(&parts).as_str()), (2, "añ漢字bcd"));
    }
}
