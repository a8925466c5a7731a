//! Checks that a template is prefix-preserving: its text of a conversation so far stays when the conversation
//! goes on. Small conversations are rendered step by step and compared.
//!
//! Thoughts aren't compared if prompts end with a thought, open or empty. Such a template removes them from
//! earlier turns, while a trajectory keeps every thought as it was sampled. The opening is context.

use serde_json::{Value as Json, json};
use turnwise_jinja::{Conversation, Template};
use turnwise_tools::CallFormat;
use turnwise_trajectory::Role;

use super::thought::Opening;
use super::tool_message::{call_id, tool_message};

/// Says why a template can't be used for training.
pub(super) enum Unfit {
    /// It rewrites earlier turns.
    Rewrites(String),
    /// It can't render a required conversation.
    Fails(String),
}

/// Describes how a template renders turns and tools.
pub(super) struct Shape {
    /// Whether it describes the tools, and writes calls as the run's call format reads them. Otherwise the
    /// call format describes them, and outputs are messages of the user.
    pub(super) native: bool,
    /// White space between the prompt and the assistant's text.
    pub(super) lead: String,
    /// The thought that a prompt ends with.
    pub(super) thought: Option<Opening>,
    /// Whether it lacks system messages: their text then starts the first message of the user.
    pub(super) no_system: bool,
    /// Whether it refuses two messages of the user in a row.
    one_user: bool,
    /// The name of the tool, if there is only one.
    tool: Option<String>,
}

impl Shape {
    /// Returns messages in the form that the template takes.
    pub(super) fn messages(&self, messages: Vec<(Role, String)>) -> Vec<Json> {
        let json = |(role, content): (Role, String)| json!({"role": role.name(), "content": content});
        self.conversation(messages.into_iter().map(json).collect())
    }

    /// Returns messages, with `role`, `content` and perhaps `tool_calls` or the `name` of a tool, in the form
    /// that the template takes.
    pub(super) fn conversation(&self, messages: Vec<Json>) -> Vec<Json> {
        let mut all: Vec<Json> = Vec::new();
        // True after a system message that became part of the user's.
        let mut opening = false;
        for (position, message) in messages.into_iter().enumerate() {
            let content = message["content"].as_str().unwrap_or_default().to_string();
            let is = |role: Role| message["role"] == role.name();
            if is(Role::Tool) && self.native {
                let name = message["name"].as_str().or(self.tool.as_deref());
                all.push(tool_message(&content, position, name));
                continue;
            }
            if is(Role::Assistant) {
                all.push(message);
                opening = false;
                continue;
            }
            let system = is(Role::System) && self.no_system;
            let role = if is(Role::System) && !self.no_system { Role::System } else { Role::User };
            let joins = |last: &&mut Json| last["role"] == role.name() && (self.one_user || opening);
            match all.last_mut().filter(joins) {
                Some(last) => {
                    let between = if opening { "\n\n" } else { "\n" };
                    last["content"] =
                        format!("{}{between}{content}", last["content"].as_str().unwrap_or_default()).into();
                }
                None => all.push(json!({"role": role.name(), "content": content})),
            }
            opening = system;
        }
        all
    }
}

/// The assistant's turns in the small conversations.
#[derive(Clone, Copy, PartialEq)]
enum Turns {
    Text(&'static str),
    Calls,
}

const PLAIN: Turns = Turns::Text("Plain words.");
const THOUGHT: Turns = Turns::Text("<think>\nA thought.\n</think>\n\nPlain words.");
const OUTPUT: &str = "what-the-tool-said";
const SYSTEM: &str = "what-the-system-said";

/// Finds the shape of a template, or why it can't be used. `offered` are the tools in OpenAI's form.
pub(super) fn check(
    template: &Template,
    source: &str,
    offered: &[Json],
    format: &dyn CallFormat,
) -> Result<Shape, Unfit> {
    let tools = (!offered.is_empty()).then_some(offered);
    let render = |messages: &[Json], tools, add_generation_prompt| {
        template
            .render(&Conversation { messages, tools, add_generation_prompt, ..Conversation::default() })
            .map_err(|error| error.0)
    };
    let question = vec![json!({"role": "user", "content": "?"})];
    let open = render(&question, None, true).map_err(Unfit::Fails)?;
    let system = [vec![json!({"role": "system", "content": SYSTEM})], question.clone()].concat();
    let thought = Opening::of(&open);
    let native = tools.is_some()
        && render(&question, tools, true).is_ok_and(|with| with != open)
        && is_native(
            &|messages: &[Json], prompt: bool| -> Result<String, String> {
                let text = render(messages, tools, prompt)?;
                Ok(thought.as_ref().map_or_else(|| text.clone(), |thought| thought.without_thoughts(&text)))
            },
            &question,
            format,
        );
    let two = [question.clone(), answer(PLAIN, 0), question.clone(), question.clone()].concat();
    let name = |tool: &Json| tool["function"]["name"].as_str().map(str::to_string);
    let mut shape = Shape {
        native,
        lead: String::new(),
        thought,
        // Some templates drop a system message instead of refusing it.
        no_system: !render(&system, None, true).is_ok_and(|text| text.contains(SYSTEM)),
        one_user: render(&two, None, true).is_err(),
        tool: offered.first().filter(|_| offered.len() == 1).and_then(name),
    };
    let tools = tools.filter(|_| native);
    let mut kinds = vec![PLAIN];
    if source.contains("</think>") && shape.thought.is_none() {
        kinds.push(THOUGHT);
    }
    if native {
        kinds.push(Turns::Calls);
    }
    for kind in kinds {
        let compared = |messages: &[Json], prompt: bool| -> Result<String, String> {
            let text = render(messages, tools, prompt)?;
            Ok(shape.thought.as_ref().map_or_else(|| text.clone(), |thought| thought.without_thoughts(&text)))
        };
        let lead = walk(&shape, kind, &compared)?;
        if kind == PLAIN {
            shape.lead = lead;
        }
    }
    Ok(shape)
}

/// Returns a turn of the assistant.
fn answer(turns: Turns, round: usize) -> Vec<Json> {
    vec![match turns {
        Turns::Text(text) => json!({"role": "assistant", "content": text}),
        Turns::Calls => {
            let function = json!({"name": "python", "arguments": {"code": "print(1)"}});
            let call = json!({"id": call_id(round), "type": "function", "function": function});
            json!({"role": "assistant", "content": "", "tool_calls": [call]})
        }
    }]
}

type Render<'a> = dyn Fn(&[Json], bool) -> Result<String, String> + 'a;

/// Returns whether the call format reads the template's calls, and the template shows a tool's output.
fn is_native(render: &Render<'_>, question: &[Json], format: &dyn CallFormat) -> bool {
    let called = [question.to_vec(), answer(Turns::Calls, 0)].concat();
    let answered = [called.clone(), vec![tool_message(OUTPUT, 0, Some("python"))]].concat();
    let (Ok(open), Ok(text), Ok(shown)) =
        (render(question, true), render(&called, false), render(&answered, true))
    else {
        return false;
    };
    let Some(turn) = text.strip_prefix(&open) else { return false };
    let calls = format.parse(turn);
    let right = calls.first().is_some_and(|call| {
        call.as_ref().is_ok_and(|call| {
            call.name == "python" && call.arguments.get("code").is_some_and(|code| code == "print(1)")
        })
    });
    calls.len() == 1 && right && shown.contains(OUTPUT)
}

/// Renders two rounds of turn and output. Returns the white space before a turn's text.
fn walk(shape: &Shape, turns: Turns, render: &Render<'_>) -> Result<String, Unfit> {
    let mut all = vec![json!({"role": "user", "content": "?"})];
    let mut before = render(&all, true).map_err(Unfit::Fails)?;
    let mut lead = String::new();
    for round in 0..2 {
        all.extend(answer(turns, round));
        let text = match render(&all, false) {
            Ok(text) => text,
            // Strict templates take a second turn after an output only if it is a call. The turns of calls
            // check that.
            Err(_) if round > 0 => break,
            Err(message) => return Err(Unfit::Fails(message)),
        };
        let Some(turn) = text.strip_prefix(&before) else {
            return Err(Unfit::Rewrites(difference("the start of a turn", &before, &text)));
        };
        let said = match turns {
            Turns::Calls => turn.trim_end(),
            Turns::Text(expected) => {
                let start = turn.len() - turn.trim_start().len();
                if !turn[start..].starts_with(expected) {
                    return Err(Unfit::Rewrites(difference(
                        "what the assistant said",
                        expected,
                        turn.trim_start(),
                    )));
                }
                lead = turn[..start].to_string();
                &turn[..start + expected.len()]
            }
        };
        let so_far = format!("{before}{said}");
        all.extend(shape.messages(vec![(Role::Tool, OUTPUT.to_string())]));
        before = render(&all, true)
            .map_err(|message| Unfit::Fails(format!("it refuses the output of a tool: {message}")))?;
        if !before.starts_with(&so_far) {
            return Err(Unfit::Rewrites(difference("an earlier turn", &so_far, &before)));
        }
    }
    Ok(lead)
}

/// Describes the difference between two texts.
fn difference(what: &str, was: &str, is: &str) -> String {
    let same = was.chars().zip(is.chars()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| -> String { text.chars().skip(same.saturating_sub(8)).take(32).collect() };
    format!("{what} changes from {:?} to {:?}", from(was), from(is))
}
