//! An engine that samples what it is told to.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use tokenizers::Tokenizer;
use turnwise_rollout::chat::load_tokenizer;
use turnwise_serve::{Draw, Engine, Event, Job};
use turnwise_trajectory::{Finish, TokenId};

/// The token that ends a turn of the tiny model.
pub(crate) const END: TokenId = 2;

/// Most tokens of a sequence.
pub(crate) const CONTEXT: usize = 4096;

pub(crate) fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny")
}

pub(crate) fn tokenizer() -> Tokenizer {
    load_tokenizer(&tiny().join("tokenizer.json")).expect("the tiny model has a tokenizer")
}

pub(crate) fn encode(text: &str) -> Vec<TokenId> {
    tokenizer().encode(text, false).expect("text").get_ids().to_vec()
}

pub(crate) fn decode(tokens: &[TokenId]) -> String {
    tokenizer().decode(tokens, false).expect("tokens")
}

/// The log-probability that the script gives to token `t` of a sequence.
pub(crate) fn logprob(t: usize) -> f32 {
    -0.25 - t as f32 / 64.0
}

/// Samples texts in the order of requests, and then nothing but the end of turns.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    texts: VecDeque<Vec<TokenId>>,
    draws: Vec<Draw>,
    /// Whether sequences wait until they are let go, or their clients are gone.
    held: bool,
    /// Sequences that were dropped because nobody waited for them.
    dropped: usize,
    running: usize,
}

impl Script {
    /// Adds a turn: its text, and the token that ends it.
    pub(crate) fn says(&self, text: &str) -> &Self {
        let mut tokens = encode(text);
        tokens.push(END);
        self.samples(&tokens)
    }

    /// Adds the tokens of a sequence.
    pub(crate) fn samples(&self, tokens: &[TokenId]) -> &Self {
        self.0.state.lock().unwrap().texts.push_back(tokens.to_vec());
        self
    }

    /// Makes sequences wait, or lets them go.
    pub(crate) fn hold(&self, held: bool) {
        self.0.state.lock().unwrap().held = held;
        self.0.changed.notify_all();
    }

    /// Returns the random numbers that were asked for.
    pub(crate) fn draws(&self) -> Vec<Draw> {
        self.0.state.lock().unwrap().draws.clone()
    }

    /// Waits until this number of sequences is being sampled.
    pub(crate) fn until_running(&self, count: usize) {
        let state = self.0.state.lock().unwrap();
        drop(self.0.changed.wait_while(state, |state| state.running != count).unwrap());
    }

    /// Counts the sequences that were dropped.
    pub(crate) fn dropped(&self) -> usize {
        self.0.state.lock().unwrap().dropped
    }

    /// Waits as the script says; returns whether somebody still waits for the sequence.
    fn wait(&self, job: &Job) -> bool {
        let mut state = self.0.state.lock().unwrap();
        while state.held && job.events.is_wanted() {
            let short = std::time::Duration::from_millis(5);
            state = self.0.changed.wait_timeout(state, short).unwrap().0;
        }
        job.events.is_wanted()
    }

    fn run(&self, mut job: Job, tokens: &[TokenId]) {
        if !self.wait(&job) {
            self.0.state.lock().unwrap().dropped += 1;
            return;
        }
        for (t, token) in tokens.iter().enumerate() {
            let likeliest = (0..job.likeliest as u32).map(|other| (other, logprob(t))).collect();
            job.events.tell(Event::Token { token: *token, logprob: logprob(t), likeliest });
            if job.stop.contains(token) {
                return job.events.tell(Event::End(Finish::EndOfTurn));
            }
            if (job.watch)(*token) {
                return job.events.tell(Event::End(Finish::StopString));
            }
            if t + 1 == job.max_new {
                return job.events.tell(Event::End(Finish::Length));
            }
        }
        job.events.tell(Event::Failed("the script is too short".into()));
    }
}

impl Engine for Script {
    fn context(&self) -> usize {
        CONTEXT
    }

    fn vocabulary(&self) -> usize {
        320
    }

    fn submit(&self, job: Job) {
        assert!(job.prompt.len() + job.max_new <= CONTEXT && !job.prompt.is_empty() && job.max_new > 0);
        let mut state = self.0.state.lock().unwrap();
        state.draws.push(job.draw);
        state.running += 1;
        let tokens = state.texts.pop_front().unwrap_or_else(|| vec![END]);
        self.0.changed.notify_all();
        let script = self.clone();
        thread::spawn(move || {
            script.run(job, &tokens);
            script.0.state.lock().unwrap().running -= 1;
            script.0.changed.notify_all();
        });
    }
}
