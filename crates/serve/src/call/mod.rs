//! A call from its request to its answer: the tokens of its prompt, its sequences, its place in the session.

pub(crate) mod arrived;
mod length;
mod prompt;
mod reader;
mod writable;

use std::hash::Hasher;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use fnv::FnvHasher;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use turnwise_trajectory::{Finish, TokenId, ToolCall};

use crate::answer::{Answer, Call as ToolUse, Choice, End, Head, Piece};
use crate::ask::Ask;
use crate::call::arrived::Arrived;
use crate::call::prompt::{Placed, place};
use crate::call::reader::Reader;
use crate::dialect::messages::called;
use crate::engine::{Draw, Event, Events, Job};
use crate::queue::Places;
use crate::refusal::{FULL, Refusal};
use crate::server_state::ServerState;
use crate::session::all::Name;
use crate::session::answer_name::AnswerName;
use crate::session::digest::{after, meant};
use crate::session::of_run::NewCall;
use crate::session::run::Reached;
use crate::session::streams::Stream;
use crate::session::tree::{Answered, Texts};

/// Holds a call that is being answered. Dropped, it gives up its sequences.
pub(crate) struct Call {
    begun: Begun,
    placed: Placed,
    head: Arc<Head>,
    /// Whether its limit of tokens is the request's, below the server's.
    is_own_limit: bool,
    choices: Vec<Progress>,
    events: UnboundedReceiver<(u32, Event)>,
    _places: Places,
}

/// Holds the place of a call in its session. Dropped, it leaves the session.
struct Begun {
    state: Arc<ServerState>,
    name: Name,
    /// The number of its first choice in the session.
    first: u32,
    /// The number of its choices.
    count: u32,
}

/// Holds a sequence that is being sampled.
struct Progress {
    reader: Reader,
    tokens: Vec<TokenId>,
    logprobs: Vec<f32>,
    likeliest: Vec<Vec<(TokenId, f32)>>,
    /// Tokens that pieces have held.
    told: usize,
    text: String,
    done: Option<Choice>,
}

/// FNV-1a gives the same hash in every build.
fn hash(text: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Call {
    /// Begins to answer a request.
    pub(crate) fn begin(state: &Arc<ServerState>, arrived: &Arrived, ask: &Ask) -> Result<Self, Refusal> {
        let name = arrived.name.clone();
        let count = ask.choices;
        let places = Places::take(&state.queue, count as usize, state.limits.sequences)?;
        let one = state.rules.is_some_and(|rules| rules.one_tool_call);
        let full = |refusal: &Refusal| {
            if refusal.code == Some(FULL) {
                state.sessions.refuse(&name.name, Reached::Context);
            }
        };
        length::check(&state.model, ask, state.engine.context()).inspect_err(full)?;
        let placed = place(&state.model, arrived, ask, one)?;
        let room = room(state, &placed.prompt).inspect_err(full)?;
        let Numbered { first, session, draws } = numbered(state, arrived, &placed, ask)?;
        // Dropped, it leaves the session.
        let begun = Begun { state: state.clone(), name, first, count };
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let head = Arc::new(Head {
            id: format!("{session:016x}{first:08x}"),
            created,
            form: ask.form,
            echo: ask.echo.clone(),
            prompt: placed.prompt.clone(),
            model: state.model.clone(),
        });
        let (events, receiver) = Events::of(count);
        let reader = || {
            let (tokens, bytes) = &placed.forced;
            let (stop, strings) = (placed.stop.clone(), ask.stop.clone());
            Reader::new(state.model.clone(), stop, strings, placed.calling(), (tokens, *bytes))
        };
        let most = state.rules.map_or(room, |rules| room.min(rules.turn_tokens));
        let is_own_limit = ask.max_new.is_some_and(|own| own < most);
        for ((choice, draw), events) in (0..count).zip(draws).zip(events) {
            let mut watch = reader();
            state.engine.submit(Job {
                prompt: placed.prompt.clone(),
                max_new: ask.max_new.unwrap_or(most).min(most),
                sampling: state.rules.map_or(ask.sampling, |rules| rules.sampling),
                likeliest: ask.form.likeliest,
                draw,
                stop: placed.stop.clone(),
                watch: Box::new(move |token| watch.push(token)),
                affinity: session.wrapping_add(choice.into()),
                events,
            });
        }
        let progress = || Progress {
            reader: reader(),
            tokens: Vec::new(),
            logprobs: Vec::new(),
            likeliest: Vec::new(),
            told: 0,
            text: String::new(),
            done: None,
        };
        let choices = (0..count).map(|_| progress()).collect();
        Ok(Self { begun, placed, head, is_own_limit, choices, events: receiver, _places: places })
    }

    /// Returns what the answer begins with.
    pub(crate) fn head(&self) -> &Arc<Head> {
        &self.head
    }

    /// Waits for an event.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(u32, Event)> {
        self.events
            .poll_recv(context)
            .map(|event| event.unwrap_or_else(|| (0, Event::Failed("the engine has ended".into()))))
    }

    /// Takes an event of a choice; returns what it adds to the answer.
    pub(crate) fn take(&mut self, choice: u32, event: Event) -> Result<Piece<'_>, Refusal> {
        let text = match event {
            Event::Failed(message) => return Err(Refusal::of(500, message)),
            Event::Token { token, logprob, likeliest } => {
                let progress = &mut self.choices[choice as usize];
                progress.tokens.push(token);
                progress.logprobs.push(logprob);
                progress.likeliest.push(likeliest);
                progress.reader.push(token);
                progress.reader.text()
            }
            Event::End(finish) => self.end(choice, finish),
        };
        let progress = &mut self.choices[choice as usize];
        progress.text.push_str(&text);
        let from = std::mem::replace(&mut progress.told, progress.tokens.len());
        if let Some(done) = &mut progress.done {
            done.text.clone_from(&progress.text);
        }
        Ok(Piece {
            choice,
            text,
            tokens: &progress.tokens[from..],
            logprobs: &progress.logprobs[from..],
            likeliest: &progress.likeliest[from..],
        })
    }

    /// Ends a choice, and adds it to the session; returns the rest of its text.
    fn end(&mut self, choice: u32, finish: Finish) -> String {
        let (call, head) = (self.begun.first + choice, self.head.clone());
        let progress = &mut self.choices[choice as usize];
        let (rest, calls) = progress.reader.finish();
        let end = match finish {
            Finish::Length | Finish::Asked => End::Length,
            _ if !calls.is_empty() => End::Calls,
            Finish::EndOfTurn => End::Turn,
            Finish::StopString => progress.reader.ended_by().map_or(End::Turn, |text| End::Text(text.into())),
        };
        let text = format!("{}{rest}", progress.text);
        let finish = if finish == Finish::Length && self.is_own_limit { Finish::Asked } else { finish };
        let asked = self.placed.digest.zip(self.placed.question.as_ref());
        let answer = asked.map(|(asked, question)| AnswerName::new(asked, question, &message(&text, &calls)));
        let said = self.placed.digest.map(|before| after(&before, &meant(&message(&text, &calls))));
        let written = self.placed.written.clone().and_then(|prompt| prompt.with(&text));
        let Begun { state, name, .. } = &self.begun;
        let texts = || Texts {
            dialogue: self.placed.dialogue.clone(),
            forced: self.placed.forced.0.clone(),
            said: self.placed.said.clone(),
        };
        state.sessions.answer(
            &name.name,
            Answered {
                call,
                parent: self.placed.parent,
                prompt: head.prompt.clone(),
                sampled: progress.tokens.clone(),
                logprobs: progress.logprobs.clone(),
                finish,
                diverged: self.placed.diverged,
                said,
                answer,
                repeated: self.placed.repeated.clone(),
                written,
                texts: if state.rules.is_some() { texts() } else { Texts::default() },
            },
        );
        let used = |(nth, call_of): (usize, ToolCall)| ToolUse {
            id: format!("call_{}_{choice}_{nth}", head.id),
            name: call_of.name,
            arguments: Value::Object(call_of.arguments).to_string(),
        };
        progress.done = Some(Choice {
            index: choice,
            text,
            calls: calls.into_iter().enumerate().map(used).collect(),
            end,
            tokens: progress.tokens.clone(),
            logprobs: progress.logprobs.clone(),
            likeliest: progress.likeliest.clone(),
        });
        rest
    }

    /// Returns a choice, if it has ended.
    pub(crate) fn ended(&self, choice: u32) -> Option<&Choice> {
        self.choices[choice as usize].done.as_ref()
    }

    /// Returns whether every choice has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.choices.iter().all(|progress| progress.done.is_some())
    }

    /// Returns the answer of a call that is done.
    pub(crate) fn answer(&mut self) -> Answer {
        let choices = self.choices.iter_mut().filter_map(|progress| progress.done.take()).collect();
        Answer { head: self.head.clone(), choices }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // A record that can't be written is reported when the server ends, or when rewards are posted.
        if let Err(refusal) = self.state.sessions.leave(&self.name, self.first, self.count) {
            self.state.complain(refusal.line());
        }
    }
}

/// Holds the numbers of a call.
struct Numbered {
    /// The number of its first choice in the session.
    first: u32,
    /// Names the session. In a run, nothing of its key is told: templates may write the ids of calls.
    session: u64,
    /// The random numbers of its choices.
    draws: Vec<Draw>,
}

/// Numbers the choices of a call in its session, and names their random numbers.
fn numbered(
    state: &Arc<ServerState>,
    arrived: &Arrived,
    placed: &Placed,
    ask: &Ask,
) -> Result<Numbered, Refusal> {
    let (count, name) = (ask.choices, &arrived.name.name);
    if let Some(rules) = state.rules {
        let new = NewCall { parent: placed.parent, prompt: &placed.prompt, arrived: arrived.at() };
        let (first, place, streams) = state.sessions.begin_in_run(name, (count, rules.calls), &new)?;
        let draws = streams.into_iter().map(|Stream { depth, salt }| Draw::Run { place, depth, salt });
        return Ok(Numbered { first, session: place, draws: draws.collect() });
    }
    let (first, session) = (state.sessions.begin(name, count)?, hash(name));
    let draw = |choice| match ask.seed {
        Some(seed) => Draw::Seed { seed, choice },
        None => Draw::Call { seed: state.seed, session, call: first + choice },
    };
    Ok(Numbered { first, session, draws: (0..count).map(draw).collect() })
}

/// Returns the answer as a message, as clients send it again.
fn message(text: &str, calls: &[ToolCall]) -> Value {
    let mut message = serde_json::json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(|call| called("", &call.name, &call.arguments)).collect();
    }
    message
}

/// Returns the number of tokens that fit after a prompt.
fn room(state: &ServerState, prompt: &[TokenId]) -> Result<usize, Refusal> {
    let (context, vocabulary) = (state.engine.context(), state.engine.vocabulary());
    if prompt.is_empty() {
        return Err(Refusal::at("prompt", "has no token"));
    }
    if let Some(at) = prompt.iter().position(|token| *token as usize >= vocabulary) {
        let message = format!("token {} isn't in the vocabulary: ids are below {vocabulary}", prompt[at]);
        return Err(Refusal::at(format!("prompt[{at}]"), message));
    }
    match context.checked_sub(prompt.len()).filter(|room| *room > 0) {
        Some(room) => Ok(room),
        None => Err(Refusal::too_long(&prompt.len().to_string(), context)),
    }
}
