//! Renders chat templates as `transformers` does, in Hugging Face's dialect of Jinja2 3.1.
//!
//! ```
//! use serde_json::{Map, json};
//! use turnwise_jinja::{Conversation, Moment, Template};
//!
//! let source = "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}";
//! let template = Template::new(source, Map::new(), Moment::now())?;
//! let messages = [json!({"role": "user", "content": "hello"})];
//! let text = template.render(&Conversation { messages: &messages, ..Conversation::default() })?;
//! assert_eq!(text, "<user>hello\n");
//! # Ok::<(), turnwise_jinja::TemplateError>(())
//! ```
//!
//! Additions to Jinja: blocks remove their line break and indentation, `raise_exception`, `strftime_now`,
//! `tojson` with Python's format, `{% generation %}`, `break` and `continue`, and methods of Python's texts,
//! lists and dictionaries. Nothing else of Python can be reached.
//!
//! A template is an untrusted program. Every step, byte and level of a rendering is counted, and one that
//! exceeds the needs of a conversation ends with an error. Values behave as Python's do, down to the order of
//! a dictionary.

mod budget;
mod builtin;
mod moment;
mod read;
mod run;
mod text;
mod value;

use serde_json::{Map, Value as Json, json};

pub use self::moment::Moment;

use self::budget::{Budget, Failure};
use self::read::syntax::Stmt;
use self::run::state::Run;
use self::value::Value;

/// Stack of the thread that reads or renders a template, for the deepest nesting in any build.
const STACK: usize = 64 << 20;

/// Most bytes of a template; the largest published ones have a hundredth of it.
const LARGEST: usize = 1 << 22;

/// Says why a chat template can't be read, or refuses a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

/// Renders conversations by a chat template.
#[derive(Debug)]
pub struct Template {
    body: Vec<Stmt>,
    /// Special tokens by name, such as `bos_token`.
    variables: Map<String, Json>,
    now: Moment,
}

/// Holds the inputs of a rendering.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conversation<'a> {
    /// A list of messages with their roles, in OpenAI's form.
    pub messages: &'a [Json],
    /// The tools on offer, in OpenAI's form.
    pub tools: Option<&'a [Json]>,
    /// Documents to answer from.
    pub documents: Option<&'a [Json]>,
    /// Whether to begin the next assistant turn.
    pub add_generation_prompt: bool,
}

impl Template {
    /// Reads a template. `variables` are the special tokens by their names (`bos_token`); `now` is the date
    /// of `strftime_now`.
    pub fn new(source: &str, variables: Map<String, Json>, now: Moment) -> Result<Self, TemplateError> {
        if source.len() > LARGEST {
            return Err(TemplateError(format!(
                "{} bytes are more than a template has ({LARGEST})",
                source.len()
            )));
        }
        let parsed = on_a_deep_stack(|| {
            read::parser::parse(source)
                .map_err(|(message, line)| one_line(&format!("{message} in line {line}")))
        });
        Ok(Self { body: parsed?, variables, now })
    }

    /// Renders a conversation.
    pub fn render(&self, conversation: &Conversation<'_>) -> Result<String, TemplateError> {
        on_a_deep_stack(|| {
            let messages: Vec<Json> = conversation.messages.iter().map(with_reasoning).collect();
            let list = |list: Option<&[Json]>| list.map_or(Json::Null, |list| list.to_vec().into());
            let mut given = self.variables.clone();
            given.insert("messages".into(), messages.into());
            given.insert("tools".into(), list(conversation.tools));
            given.insert("documents".into(), list(conversation.documents));
            given.insert("add_generation_prompt".into(), conversation.add_generation_prompt.into());
            let mut budget = Budget::new(given.values().map(bytes).sum());
            let mut variables = Vec::new();
            for (name, value) in &given {
                let value = Value::from_json(value, &mut budget).map_err(|failure| told(&failure, 1))?;
                variables.push((name.as_str().into(), value));
            }
            let mut run = Run::new(variables, self.now, budget);
            run.all(&self.body).map_err(|failure| told(&failure, run.line))
        })
    }
}

/// Runs `work` on a thread with a stack for the deepest nesting.
fn on_a_deep_stack<T: Send>(
    work: impl FnOnce() -> Result<T, TemplateError> + Send,
) -> Result<T, TemplateError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chat template".into()).stack_size(STACK);
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(TemplateError(format!("no thread for the chat template: {error}"))),
        }
    })
}

/// Estimates the bytes of a value in a template.
fn bytes(json: &Json) -> usize {
    let value = size_of::<Value>();
    match json {
        Json::String(text) => value + text.len(),
        Json::Array(items) => value + items.iter().map(bytes).sum::<usize>(),
        Json::Object(pairs) => {
            value + pairs.iter().map(|(key, item)| 2 * value + key.len() + bytes(item)).sum::<usize>()
        }
        _ => value,
    }
}

/// Formats a failure in one line: the template's message, or the fault and its line.
fn told(failure: &Failure, line: usize) -> TemplateError {
    one_line(&if failure.refused {
        failure.message.clone()
    } else {
        format!("{} in line {line}", failure.message)
    })
}

/// Shortens a message to one line.
fn one_line(message: &str) -> TemplateError {
    const MOST: usize = 500;
    let mut line: String = message.chars().take(MOST).collect();
    if message.chars().nth(MOST).is_some() {
        line.push('…');
    }
    TemplateError(line.replace('\n', " "))
}

/// Copies a message's reasoning to all names that templates use, as `transformers` does.
fn with_reasoning(message: &Json) -> Json {
    let names = ["reasoning_content", "thinking", "reasoning"];
    let Some(reasoning) = names.iter().find_map(|name| message.get(name).filter(|value| !value.is_null()))
    else {
        return message.clone();
    };
    let mut aliased = json!({"thinking": reasoning});
    if let (Some(aliased), Some(message)) = (aliased.as_object_mut(), message.as_object()) {
        aliased.extend(message.clone());
        aliased.insert("reasoning_content".into(), reasoning.clone());
    }
    aliased
}

#[cfg(test)]
mod tests;
