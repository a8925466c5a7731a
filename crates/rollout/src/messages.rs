//! Builds messages from tasks, tools and their outputs.

use turnwise_envs::{Env, Task};
use turnwise_tools::observation::malformed_observation;
use turnwise_tools::{CallFormat, ToolSpec, observation};
use turnwise_trajectory::{CallRecord, Message, Role};

use crate::chat::ChatFormat;
use crate::observe::fit;

/// Returns calls and their outputs as messages of the tools, each output in at most `limit` tokens.
pub fn outputs(
    chat: &dyn ChatFormat,
    format: &dyn CallFormat,
    calls: &[CallRecord],
    limit: usize,
) -> Vec<Message> {
    let message = |record: &CallRecord| {
        let text = match record {
            CallRecord::Executed { output, .. } => observation(output),
            CallRecord::Malformed(call) => malformed_observation(call),
        };
        let text = fit(chat, &text, limit);
        Message::new(Role::Tool, if chat.shows_tools() { text } else { format.render_output(&text) })
    };
    calls.iter().map(message).collect()
}

/// Returns the messages before the first assistant turn: the task's messages with the description of the
/// tools.
pub fn opening(env: &dyn Env, format: &dyn CallFormat, describe_tools: bool, task: &Task) -> Vec<Message> {
    let messages = task.messages.clone();
    if describe_tools { offer(messages, format, env.tools()) } else { messages }
}

/// Appends the call format's description of the tools to the system message.
pub fn offer(mut messages: Vec<Message>, format: &dyn CallFormat, tools: &[ToolSpec]) -> Vec<Message> {
    if !tools.is_empty() {
        let text = format.describe(tools);
        match messages.first_mut().filter(|first| first.role == Role::System) {
            Some(system) => system.content = format!("{}\n\n{text}", system.content),
            None => messages.insert(0, Message::new(Role::System, text)),
        }
    }
    messages
}
