//! A chat template as `transformers` renders it: Jinja in Hugging Face's dialect.
//!
//! Beside Jinja's own these are: blocks take their line break and indentation with them, `raise_exception`,
//! `strftime_now`, `tojson` with Python's spelling, `{% generation %}`, `break` and `continue`, and methods of Python's
//! texts, lists and dictionaries. Nothing else of Python can be reached.
//!
//! The engine is our own because a template is somebody else's program: every step, byte and level of a rendering is
//! counted ([`budget`]), and values behave as Python's do, down to the order of a dictionary.

mod access;
mod arguments;
mod arithmetic;
mod budget;
mod checks;
mod compare;
mod containers;
mod escape;
mod evaluate;
mod expressions;
mod filters;
mod globals;
mod iterate;
mod json;
mod letters;
mod lexer;
mod loops;
mod numerals;
mod parser;
mod printf;
mod run;
mod spelling;
mod str_format;
mod syntax;
mod text_methods;
mod value;

use serde_json::{Map, Value as Json, json};

use self::budget::{Budget, Failure};
use self::run::Run;
use self::syntax::Stmt;
use self::value::Value;
use super::strftime::Moment;

/// Stack of the thread that reads or renders a template: as deep as both may nest, in any build.
const STACK: usize = 64 << 20;

/// Bytes of a template at most; the largest published ones have a hundredth of it.
const LARGEST: usize = 1 << 22;

/// A chat template that can't be read, or that refuses a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

/// A chat template.
#[derive(Debug)]
pub struct Template {
    body: Vec<Stmt>,
    /// `bos_token` and the like.
    variables: Map<String, Json>,
    now: Moment,
}

/// What a template is rendered with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conversation<'a> {
    /// A list of messages with their roles, in OpenAI's form.
    pub messages: &'a [Json],
    /// The tools on offer, in OpenAI's form.
    pub tools: Option<&'a [Json]>,
    /// Documents to answer from.
    pub documents: Option<&'a [Json]>,
    /// Whether the next assistant turn is begun.
    pub add_generation_prompt: bool,
}

impl Template {
    /// Reads a template. `variables` are the special tokens by their names (`bos_token`); `now` is what
    /// `strftime_now` shows.
    pub fn new(source: &str, variables: Map<String, Json>, now: Moment) -> Result<Self, TemplateError> {
        if source.len() > LARGEST {
            return Err(TemplateError(format!(
                "{} bytes are more than a template has ({LARGEST})",
                source.len()
            )));
        }
        let parsed = on_a_deep_stack(|| {
            parser::parse(source).map_err(|(message, line)| one_line(&format!("{message} in line {line}")))
        });
        Ok(Self { body: parsed?, variables, now })
    }

    /// The text of a conversation.
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

/// Does something on a thread whose stack is as deep as templates may nest.
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

/// What a value takes in a template, more or less.
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

/// One line: what the template itself says, or what is wrong with it and where.
fn told(failure: &Failure, line: usize) -> TemplateError {
    one_line(&if failure.refused {
        failure.message.clone()
    } else {
        format!("{} in line {line}", failure.message)
    })
}

/// As much of a message as a line holds.
fn one_line(message: &str) -> TemplateError {
    const MOST: usize = 500;
    let mut line: String = message.chars().take(MOST).collect();
    if message.chars().nth(MOST).is_some() {
        line.push('…');
    }
    TemplateError(line.replace('\n', " "))
}

/// `transformers` gives a message's reasoning under every name that templates know.
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
