//! Chat messages, before a chat format turns them into tokens.

use serde::{Deserialize, Serialize};

/// Names the author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions and tool descriptions.
    System,
    /// The task.
    User,
    /// The policy.
    Assistant,
    /// The output of a tool call.
    Tool,
}

impl Role {
    /// Returns the name used by chat templates.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }
}

/// Holds one message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The author.
    pub role: Role,
    /// Its text.
    pub content: String,
}

impl Message {
    /// Returns a message of the given role.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}
