//! Conversations in tokens, by a chat template.

use std::ops::Range;

use serde_json::{Value as Json, json};
use turnwise_rollout::chat::{Rendering, Script};
use turnwise_tools::CallFormat;
use turnwise_trajectory::TokenId;

use crate::calls;
use crate::config::TrainOn;
use crate::conversation::Conversation;
use crate::left_out::{LeftOut, Reason};
use crate::plain;
use crate::sequence::Sequence;

/// Writes conversations by a model folder's template, or by a call format where the template shows no tools.
pub struct Writer<'a> {
    rendering: &'a Rendering,
    format: &'a dyn CallFormat,
    describe: bool,
    shows: Shows,
    limit: usize,
}

/// Bytes that a token stands for at most. Text of more bytes for each token that fits isn't spelled.
const LONGEST_TOKEN: usize = 1024;
/// Turns of a sequence between two looks at its length.
const LOOK: usize = 64;

/// Holds what a template shows by itself.
#[derive(Debug, Clone, PartialEq)]
struct Shows {
    /// The tools on offer.
    tools: bool,
    /// Calls and outputs, in a conversation that offers tools and in one that doesn't.
    calls: [bool; 2],
    /// The contents of a turn of calls alone with which the template writes the calls.
    silent: Vec<Option<Json>>,
}

const TOOL: &str = "nameOfTheTool";
const VALUE: &str = "whatIsAsked";
const OUTPUT: &str = "whatTheToolSays";

impl Shows {
    fn of(rendering: &Rendering) -> Self {
        let tool = json!([{"type": "function", "function": {
            "name": TOOL,
            "description": "A tool.",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
        }}]);
        let tools = tool.as_array().map(Vec::as_slice);
        let text = |content: &Option<Json>, tools, count| {
            let script = rendering.script(&small(content.as_ref()), tools);
            script.text(count, false).unwrap_or_default()
        };
        let called = |text: &str| text.contains(VALUE) && text.contains(TOOL);
        let asked = text(&None, tools, 1);
        // `None` is what a template writes of a null that it doesn't look for.
        let writes = |content: &Option<Json>| {
            let text = text(content, tools, 2);
            called(&text) && text.matches("None").count() == asked.matches("None").count()
        };
        let silent: Vec<Option<Json>> =
            [None, Some("".into()), Some(Json::Null)].into_iter().filter(writes).collect();
        let shown = |tools| {
            let first = silent.first();
            first.is_some_and(|content| {
                called(&text(content, tools, 2)) && text(content, tools, 3).contains(OUTPUT)
            })
        };
        let calls = [shown(tools), shown(None)];
        Self { tools: asked.contains(TOOL), calls, silent }
    }
}

/// Returns a question, a turn that is a call and nothing else, and its output.
fn small(content: Option<&Json>) -> [Json; 3] {
    let function = json!({"name": TOOL, "arguments": {"key": VALUE}});
    let call = json!({"id": "call00000", "type": "function", "function": function});
    let mut turn = json!({"role": "assistant", "tool_calls": [call]});
    if let Some(content) = content {
        turn["content"] = content.clone();
    }
    let output = json!({"role": "tool", "content": OUTPUT, "name": TOOL, "tool_call_id": "call00000"});
    [json!({"role": "user", "content": "?"}), turn, output]
}

/// Holds a conversation in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its sequences: one, unless the template writes earlier turns otherwise when the conversation goes on.
    pub sequences: Vec<Sequence>,
    /// Messages whose thought the template leaves out of the turn itself.
    pub unseen_thoughts: Vec<usize>,
}

/// Text of a sequence, with the messages that are turns in it and their bytes.
struct Draft {
    text: String,
    turns: Vec<(usize, Range<usize>)>,
}

impl Draft {
    fn end(&self) -> usize {
        self.turns.last().map_or(0, |(_, turn)| turn.end)
    }
}

impl<'a> Writer<'a> {
    /// Looks at what the template shows. `format` writes tools, calls and outputs where it shows none;
    /// `describe` says whether the tools on offer are told at all.
    pub fn new(rendering: &'a Rendering, format: &'a dyn CallFormat, describe: bool) -> Self {
        Self { rendering, format, describe, shows: Shows::of(rendering), limit: usize::MAX }
    }

    /// Leaves turns unread that can't fit into a sequence of `limit` tokens. A conversation is rendered once
    /// for each turn that is read.
    #[must_use]
    pub fn within(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Writes the conversation of a line. All trained turns are in one sequence unless the template writes
    /// earlier turns otherwise when the conversation goes on.
    pub fn write(
        &self,
        line: usize,
        conversation: &Conversation,
        train_on: TrainOn,
    ) -> Result<Written, LeftOut> {
        let native = self.is_native(conversation);
        let messages = if native {
            self.given(conversation)
        } else {
            plain::written(conversation, self.format, self.describe)
        };
        // The description of the tools may stand in front.
        let shift = messages.len() - conversation.messages.len();
        let tools =
            (native && self.describe && !conversation.tools.is_empty()).then_some(&*conversation.tools);
        let script = self.rendering.script(&messages, tools);
        let (mut drafts, unseen_thoughts) = self.drafts(&script, conversation, shift, native)?;
        let bytes = drafts.iter().map(|draft| draft.turns.first().map_or(0, |(_, turn)| turn.end)).min();
        if let Some(bytes) = bytes.filter(|bytes| self.is_beyond(*bytes)) {
            let message = format!("{bytes} bytes up to the first turn, at most {} tokens fit", self.limit);
            return Err(LeftOut::new(Reason::TooLong, message));
        }
        if train_on == TrainOn::All
            && let Some(last) = drafts.last_mut()
            && let Ok(whole) = script.text(messages.len(), false)
            && whole.starts_with(&last.text[..last.end()])
        {
            last.text = whole;
        }
        let mut sequences: Vec<Sequence> = Vec::new();
        for draft in &drafts {
            let sequence = sequence(&script, draft, line, conversation, train_on);
            let sequence = match sequences.last().filter(|_| train_on == TrainOn::All) {
                Some(last) => without_common(sequence, &last.tokens),
                None => sequence,
            };
            sequences.push(sequence);
        }
        sequences.retain(|sequence| sequence.trained() > 0);
        let last = drafts.last().and_then(|draft| draft.turns.last()).map(|(index, _)| *index);
        let is_read =
            last == (0..conversation.messages.len()).rfind(|index| conversation.is_assistant(*index));
        if sequences.is_empty() && !is_read {
            let message = format!("no trained turn is in the first {} tokens", self.limit);
            return Err(LeftOut::new(Reason::TooLong, message));
        }
        if sequences.is_empty() {
            return Err(LeftOut::new(Reason::NothingTrained, "every turn is marked as not to be trained"));
        }
        Ok(Written { sequences, unseen_thoughts })
    }

    /// Returns a conversation as plain texts, one a message, with its calls by the call format: for making a
    /// tokenizer.
    pub fn texts(conversation: &Conversation, format: &dyn CallFormat, describe: bool) -> Vec<String> {
        let messages = plain::written(conversation, format, describe);
        let text = |message: &Json| {
            let of = |key: &str| message[key].as_str().unwrap_or_default().to_string();
            format!("{}\n{}", of("role"), of("content"))
        };
        messages.iter().map(text).collect()
    }

    fn is_native(&self, conversation: &Conversation) -> bool {
        let offered = !conversation.tools.is_empty() && self.describe;
        let shown = if offered { self.shows.tools && self.shows.calls[0] } else { self.shows.calls[1] };
        !conversation.uses_tools() || shown
    }

    /// Returns the messages, with a content that the template takes in turns of calls alone.
    fn given(&self, conversation: &Conversation) -> Vec<Json> {
        let mut messages = conversation.messages.clone();
        for message in messages.iter_mut().filter(|message| message["role"] == "assistant") {
            let content = message.get("content").cloned();
            let calls = message.get("tool_calls").is_some();
            let takes = &self.shows.silent;
            if content.as_ref().is_some_and(|content| content != "") || (calls && takes.contains(&content)) {
                continue;
            }
            let taken = if calls { takes.first().cloned().flatten() } else { Some("".into()) };
            match (taken, message.as_object_mut()) {
                (Some(taken), _) => message["content"] = taken,
                (None, Some(keys)) => {
                    keys.remove("content");
                }
                (None, None) => {}
            }
        }
        messages
    }

    /// Returns whether a text of `bytes` bytes has more tokens than fit.
    fn is_beyond(&self, bytes: usize) -> bool {
        bytes / LONGEST_TOKEN > self.limit
    }

    /// Returns the texts of a conversation's sequences, and the messages whose thoughts are in none.
    fn drafts(
        &self,
        script: &Script<'_>,
        conversation: &Conversation,
        shift: usize,
        native: bool,
    ) -> Result<(Vec<Draft>, Vec<usize>), LeftOut> {
        let (mut drafts, mut unseen) = (Vec::<Draft>::new(), Vec::new());
        // With thoughts, a later turn may have a shorter prompt than this one.
        let grows = !conversation.thinks();
        for index in (0..conversation.messages.len()).filter(|index| conversation.is_assistant(*index)) {
            let refused =
                |message: String| LeftOut::new(Reason::Template, format!("messages[{index}]: {message}"));
            let prompted = script.prompted(index + shift).map_err(|error| refused(error.to_string()))?;
            let said = &prompted.text[prompted.turn.clone()];
            let calls = calls::of(&conversation.messages[index]);
            if let Some(absent) = calls.iter().find(|call| native && !said.contains(&call.name)) {
                return Err(refused(format!("the chat template leaves out the call of {:?}", absent.name)));
            }
            if !said.contains(beginning_of_thought(&conversation.messages[index])) {
                unseen.push(index);
            }
            let turn = (index, prompted.turn.clone());
            let prompt = &prompted.text[..prompted.turn.start];
            match drafts.last_mut().filter(|draft| prompt.starts_with(&draft.text[..draft.end()])) {
                Some(draft) => {
                    draft.text = prompted.text;
                    draft.turns.push(turn);
                }
                None => drafts.push(Draft { text: prompted.text, turns: vec![turn] }),
            }
            let looked = drafts.last().filter(|draft| grows && draft.turns.len().is_multiple_of(LOOK));
            let is_long =
                |text: &str| self.is_beyond(text.len()) || script.tokens(text, &[]).0.len() > self.limit;
            if looked.is_some_and(|draft| is_long(&draft.text)) {
                break;
            }
        }
        Ok((drafts, unseen))
    }
}

/// Returns the first words of a message's thought, up to anything that may be a chat token.
fn beginning_of_thought(message: &Json) -> &str {
    let names = ["reasoning_content", "thinking", "reasoning"];
    let thought = names.iter().find_map(|name| message[name].as_str()).unwrap_or_default().trim();
    thought.split(['<', '[', '\n']).next().unwrap_or_default().trim()
}

fn sequence(
    script: &Script<'_>,
    draft: &Draft,
    line: usize,
    conversation: &Conversation,
    train_on: TrainOn,
) -> Sequence {
    let spans: Vec<Range<usize>> = draft.turns.iter().map(|(_, turn)| turn.clone()).collect();
    let (tokens, ranges) = script.tokens(&draft.text, &spans);
    let last = (0..conversation.messages.len()).rfind(|index| conversation.is_assistant(*index));
    let is_trained =
        |index: usize| conversation.marks[index].unwrap_or(train_on != TrainOn::Last || Some(index) == last);
    let mut mask = vec![train_on == TrainOn::All; tokens.len()];
    let mut turns = Vec::new();
    for ((index, _), range) in draft.turns.iter().zip(ranges) {
        mask[range.clone()].fill(is_trained(*index));
        if is_trained(*index) {
            turns.push(range);
        }
    }
    // Nothing comes before the first token that could foretell it.
    if let Some(first) = mask.first_mut() {
        *first = false;
    }
    Sequence { line, tokens, mask, turns }
}

/// Trains no token again that the sequence before has in common.
fn without_common(mut sequence: Sequence, before: &[TokenId]) -> Sequence {
    let common = sequence.tokens.iter().zip(before).take_while(|(a, b)| a == b).count();
    sequence.mask[..common].fill(false);
    sequence
}
