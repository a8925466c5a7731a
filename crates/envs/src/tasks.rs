//! Defines tasks, and the tools that environments offer.

pub(crate) mod arithmetic;
pub(crate) mod command;
pub(crate) mod expression;
pub(crate) mod human_eval;
pub(crate) mod lookup;
pub(crate) mod one_word;
pub(crate) mod programs;
pub(crate) mod qa;
pub(crate) mod same_question;
pub(crate) mod stated;
pub(crate) mod story;
pub(crate) mod strategy_qa;
pub(crate) mod task_files;

use turnwise_tools::ToolSpec;
use turnwise_trajectory::{Message, Role};

/// Describes one problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Unique name in its environment, the same in every run. It names the group and seeds its sampling.
    pub id: String,
    /// Difficulty, as the environment counts it.
    pub level: u32,
    /// The opening of the conversation, without the description of the tools.
    pub messages: Vec<Message>,
    /// The right answer, in the environment's form.
    pub answer: String,
}

/// Names a part of an environment's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskSplit {
    /// Tasks to train on.
    Train,
    /// Tasks to evaluate on. Training never sees them.
    HeldOut,
}

impl TaskSplit {
    /// Returns the name in the protocol of external environments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "held_out",
        }
    }
}

/// Holds the tasks and tools of an environment, fixed when it opens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tasks {
    /// Tasks to train on, in a fixed order.
    pub train: Vec<Task>,
    /// Tasks that training never sees.
    pub held_out: Vec<Task>,
    /// Tools that the model is told about.
    pub tools: Vec<ToolSpec>,
}

impl Tasks {
    /// Returns these tools, without tasks yet.
    pub fn with_tools(tools: impl Into<Vec<ToolSpec>>) -> Self {
        Self { train: Vec::new(), held_out: Vec::new(), tools: tools.into() }
    }
}

/// Returns the messages of a question, after an instruction unless that is empty.
pub(crate) fn asked(instruction: &str, question: impl Into<String>) -> Vec<Message> {
    instructed(instruction, vec![Message::new(Role::User, question)])
}

/// Returns the messages of a prompt with an instruction unless that is empty. A system message of the prompt
/// stays before it, because templates take one system message.
pub(crate) fn instructed(instruction: &str, mut prompt: Vec<Message>) -> Vec<Message> {
    match prompt.first_mut().filter(|first| first.role == Role::System) {
        _ if instruction.is_empty() => {}
        Some(system) => {
            system.content += "\n\n";
            system.content += instruction;
        }
        None => prompt.insert(0, Message::new(Role::System, instruction)),
    }
    prompt
}

/// Returns the question of a task.
pub(crate) fn question(task: &Task) -> &str {
    &task.messages.last().expect("a task has a question").content
}

/// Returns what a task tells the policy: every message but the system's.
pub(crate) fn told(task: &Task) -> String {
    let told = task.messages.iter().filter(|message| message.role != Role::System);
    told.map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
}
