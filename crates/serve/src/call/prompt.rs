//! From a request to the tokens that are continued, and their place in the session.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};
use turnwise_rollout::chat::{ChatError, Dialogue};
use turnwise_tools::ToolSpec;
use turnwise_trajectory::{TokenId, ToolCall};

use crate::ask::{Ask, Chat, Prompt, ToolChoice};
use crate::call::arrived::Arrived;
use crate::call::reader::Calling;
use crate::call::writable;
use crate::model::Model;
use crate::refusal::Refusal;
use crate::session::answer_name::{AnswerName, Repeated};
use crate::session::digest::{Digest, digests};
use crate::session::run::Said;
use crate::session::tree::Session;
use crate::session::written::Growing;

/// Holds the tokens of a request, and how what follows them is read.
pub(crate) struct Placed {
    pub(crate) prompt: Vec<TokenId>,
    /// The call that they continue.
    pub(crate) parent: Option<u32>,
    /// Whether its text repeats an answer in other tokens than were sampled, where there is no conversation.
    pub(crate) diverged: bool,
    /// The answers that the conversation repeats.
    pub(crate) repeated: Repeated,
    /// The conversation; absent where there is none.
    pub(crate) digest: Option<Digest>,
    /// Its last message.
    pub(crate) question: Option<Value>,
    /// The text of the prompt, where there is no conversation.
    pub(crate) written: Option<Growing>,
    /// Tokens that end the sequence.
    pub(crate) stop: Vec<TokenId>,
    /// How calls are read, if they are.
    pub(crate) calling: Option<(Arc<Dialogue>, bool)>,
    /// Tokens of the turn that the prompt holds, and the bytes of their call.
    pub(crate) forced: (Vec<TokenId>, usize),
    /// The tools that may be called; none without tools, or where none may be called.
    pub(crate) dialogue: Option<Arc<Dialogue>>,
    /// The texts after the answer that the conversation continues.
    pub(crate) said: Said,
}

impl Placed {
    pub(crate) fn calling(&self) -> Option<Calling> {
        self.calling.as_ref().map(|(dialogue, one)| Calling { dialogue: dialogue.clone(), one: *one })
    }
}

/// Finds the tokens of a request in its session. `one`: whether the first call of a tool ends the turn,
/// whatever the request says.
pub(crate) fn place(model: &Model, arrived: &Arrived, ask: &Ask, one: bool) -> Result<Placed, Refusal> {
    let (prompt, text) = match &ask.prompt {
        Prompt::Chat(chat) => return conversation(model, arrived, chat, one),
        Prompt::Text(text) => {
            (model.encode(text).map_err(|error| Refusal::at("prompt", error))?, Cow::from(text))
        }
        Prompt::Tokens(tokens) => (tokens.clone(), Cow::from(model.decode(tokens))),
    };
    let place = |session: &Session| {
        let parent = session.before(&prompt);
        Some((parent, session.diverges(&text, parent)))
    };
    let (parent, diverged) = arrived.look(place).unwrap_or_default();
    Ok(Placed {
        parent,
        prompt,
        diverged,
        repeated: Repeated::default(),
        digest: None,
        question: None,
        written: Some(Growing::of(&text)),
        stop: model.ends().to_vec(),
        calling: None,
        forced: (Vec::new(), 0),
        dialogue: None,
        said: Said::default(),
    })
}

fn conversation(model: &Model, arrived: &Arrived, chat: &Chat, one: bool) -> Result<Placed, Refusal> {
    let dialogue = model.dialogues().with(&chat.tools).map_err(|error| refused(&error))?;
    writable::check(dialogue.format(), &chat.tools)?;
    let tools = serde_json::to_value(&chat.tools).expect("a tool's description is JSON");
    let digests = digests(&tools, &chat.messages);
    let is_answer = |at: &usize| chat.messages[*at]["role"] == "assistant";
    let answers: Vec<usize> = (0..chat.messages.len()).filter(is_answer).collect();
    let repeated = |first: usize, from: usize| repeats(chat, &digests, &answers, (first, from));
    let known = arrived.look(|session| session.continued(&digests));
    let going_on = known.and_then(|known| {
        // A template that refuses the rest there may still take the whole conversation.
        let new = &chat.messages[known.messages..];
        let next = dialogue.after(new, known.closed).ok()?;
        let repeated = repeated(known.messages, known.tokens.len());
        let prompt = [known.tokens, next].concat();
        Some((prompt, Some(known.call), repeated, said(new)))
    });
    let (mut prompt, parent, repeated, said) = if let Some(found) = going_on {
        found
    } else {
        let prompt = dialogue.prompt(&chat.messages).map_err(|error| refused(&error))?;
        let parent = arrived.look(|session| {
            let call = session.before(&prompt)?;
            Some((call, session.read(call)))
        });
        let said = said(&chat.messages[answers.last().map_or(0, |at| at + 1)..]);
        // The tokens that the call read hold the answers before it.
        let read = parent.map_or(0, |(_, read)| read);
        let before =
            |at: usize| dialogue.prompt(&chat.messages[..at]).map_or(usize::MAX, |before| before.len());
        let kept = answers.partition_point(|at| parent.is_some() && before(*at) <= read);
        let first = kept.checked_sub(1).map_or(0, |last| answers[last] + 1);
        (prompt, parent.map(|(call, _)| call), repeated(first, read), said)
    };
    let mut stop = dialogue.chat().stop_tokens().to_vec();
    stop.extend(model.ends().iter().filter(|token| !dialogue.chat().stop_tokens().contains(token)));
    let forced = forced(&dialogue, chat)?;
    prompt.extend_from_slice(&forced.0);
    let reads = !chat.tools.is_empty() && chat.choice != ToolChoice::None;
    let one = one || !chat.parallel || matches!(chat.choice, ToolChoice::Named(_));
    let digest = digests.last().copied();
    let calling = reads.then(|| (dialogue.clone(), one));
    // Without tools nothing is read as a call.
    let dialogue = reads.then_some(dialogue);
    let question = chat.messages.last().cloned();
    Ok(Placed {
        prompt,
        parent,
        diverged: false,
        repeated,
        digest,
        question,
        written: None,
        stop,
        calling,
        forced,
        dialogue,
        said,
    })
}

/// Returns the answers among the messages from `first` on; `from` is the number of tokens before them.
fn repeats(chat: &Chat, digests: &[Digest], answers: &[usize], (first, from): (usize, usize)) -> Repeated {
    let name = |at: &usize| {
        let question = at.checked_sub(1).map_or(&Value::Null, |before| &chat.messages[before]);
        AnswerName::new(digests[*at], question, &chat.messages[*at])
    };
    Repeated { from, answers: answers.iter().filter(|at| **at >= first).map(name).collect() }
}

/// Returns the texts of messages after an answer.
fn said(messages: &[Value]) -> Said {
    let texts = |role: &str| {
        let of_role = messages.iter().filter(move |message| message["role"] == role);
        of_role.map(|message| message["content"].as_str().unwrap_or_default().to_string()).collect::<Vec<_>>()
    };
    let reply = texts("user");
    Said { outputs: texts("tool"), reply: (!reply.is_empty()).then(|| reply.join("\n")) }
}

fn refused(error: &ChatError) -> Refusal {
    let line = error.to_string().lines().next().unwrap_or_default().to_string();
    Refusal::at("messages", line)
}

/// Returns the tokens with which a turn begins that has to call a tool, and the bytes of the call among them.
fn forced(dialogue: &Dialogue, chat: &Chat) -> Result<(Vec<TokenId>, usize), Refusal> {
    let names: Vec<&str> = match &chat.choice {
        ToolChoice::Auto | ToolChoice::None => return Ok((Vec::new(), 0)),
        ToolChoice::Required => chat.tools.iter().map(|tool| tool.name.as_str()).collect(),
        ToolChoice::Named(name) => vec![name],
    };
    if let Some(absent) = names.iter().find(|name| !chat.tools.iter().any(|tool| tool.name == **name)) {
        return Err(Refusal::at("tool_choice", format!("no tool {absent:?} is on offer")));
    }
    let text = beginning(dialogue, &names, &chat.tools);
    if text.is_empty() {
        let hint = format!("calls in the format {} have no common beginning", dialogue.format().name());
        return Err(Refusal::unsupported("tool_choice", &hint));
    }
    Ok((dialogue.chat().turn(&text), text.len()))
}

/// Returns the text with which every call of these tools begins.
fn beginning(dialogue: &Dialogue, names: &[&str], tools: &[ToolSpec]) -> String {
    let render = |name: &str, arguments: Map<String, Value>| {
        dialogue.format().render(&ToolCall { name: name.into(), arguments, span: 0..0 })
    };
    let properties = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name == name);
        let names = tool.and_then(|tool| tool.parameters["properties"].as_object());
        names.map(|names| names.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut calls = Vec::new();
    for name in names {
        calls.push(render(name, Map::new()));
        // Two names of an argument show where the first one begins, and two values where its text does.
        for argument in properties(name).iter().map(String::as_str).chain(["a", "z"]) {
            for value in ["", "a"] {
                calls.push(render(name, [(argument.to_string(), Value::from(value))].into_iter().collect()));
            }
        }
    }
    let first = calls.first().cloned().unwrap_or_default();
    let same = |call: &String| first.bytes().zip(call.bytes()).take_while(|(a, b)| a == b).count();
    let mut end = calls.iter().map(same).min().unwrap_or(0);
    // A format that writes every call alike can't write these.
    if end == first.len() {
        return String::new();
    }
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    // Half a tag would be spelled otherwise than the model spells it.
    first[..end].trim_end_matches(['<', '"']).to_string()
}
