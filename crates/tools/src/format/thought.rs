//! Defines thoughts: parts of a completion in which a call is a draft and a marker a mention.

/// Names the tags around a thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thought {
    /// Opens a thought.
    pub open: &'static str,
    /// Closes it.
    pub close: &'static str,
}

/// The tags of most models that reason.
pub const THINK: Thought = Thought { open: "<think>", close: "</think>" };

const fn tags(open: &'static str, close: &'static str) -> Thought {
    Thought { open, close }
}

/// The tags of all known models. Each closing tag closes any thought.
pub const THOUGHTS: &[Thought] = &[
    THINK,
    tags("[THINK]", "[/THINK]"),
    tags("<thinking>", "</thinking>"),
    tags("<thought>", "</thought>"),
    tags("<reasoning>", "</reasoning>"),
    tags("<seed:think>", "</seed:think>"),
];

/// Names the state in which a completion begins, because the prompt may have opened a thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Opening {
    /// Outside thoughts.
    Answer,
    /// Inside a thought, because the chat template ends the prompt with `<think>`.
    Thought,
    /// Unknown. A `</think>` without an opening tag shows that the text began in a thought.
    #[default]
    Unknown,
}
