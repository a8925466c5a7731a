//! Generates turns for many sequences, each at its own position.
//!
//! A sequence keeps its cache between turns, so only the observation is fed. Submitted turns are sampled
//! together, token by token. At most `max_sequences` hold a cache; the rest wait in the order of their keys.
//! Neither batching nor waiting changes what is sampled for a sequence.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rayon::prelude::*;
use turnwise_model::{Decoded, Draw, HostModel, Transformer};
use turnwise_trajectory::TokenId;

use crate::model_runner::ModelRunner;
use crate::sampling::{LogitsError, Sampling};
use crate::slot::{Next, Pending, Slot, common};
use crate::stop::StopRule;
use crate::turn::{Generation, GenerationRequest, SampledSoFar};

/// Logits that are worth a second thread.
const MIN_PARALLEL: usize = 1 << 15;

/// Smallest number of common tokens whose copying is worth one step of waiting.
const WORTH: usize = 16;

/// Generates turns for a set of sequences, a token for each of them in a step.
pub struct Generator {
    runner: ModelRunner,
    sampling: Sampling,
    /// Slots of the cache; a slot without a sequence is free.
    slots: Vec<Option<Slot>>,
    max_sequences: usize,
    /// Turns of sequences without a slot, by key.
    waiting: BTreeMap<u64, Pending>,
    steps: usize,
    fed: usize,
}

impl Generator {
    /// Makes a generator with an empty cache. The model must not track gradients (`model.valid()`).
    pub fn new(model: Transformer, sampling: Sampling) -> Self {
        Self::of(ModelRunner::tensor(model), sampling)
    }

    /// Makes a generator that computes on the host, the fast way on a CPU backend.
    pub fn on_host(model: Arc<HostModel>, sampling: Sampling) -> Self {
        Self::of(ModelRunner::Host { model, slots: Vec::new() }, sampling)
    }

    fn of(runner: ModelRunner, sampling: Sampling) -> Self {
        let (slots, waiting) = (Vec::new(), BTreeMap::new());
        Self { runner, sampling, slots, max_sequences: usize::MAX, waiting, steps: 0, fed: 0 }
    }

    /// Limits the number of sequences that hold a cache, at least one, from the next step on.
    pub fn bound(&mut self, sequences: usize) {
        self.max_sequences = sequences.max(1);
    }

    /// Returns the number of steps with work so far. A step gives at most one token to each sequence.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Returns the number of tokens computed so far. Tokens copied from a cache don't count.
    pub fn fed(&self) -> usize {
        self.fed
    }

    /// Returns whether no turn waits or is being sampled.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sequences().all(|(_, slot)| slot.turn.is_none())
    }

    /// Queues a turn for sampling from the next step on.
    ///
    /// # Panics
    /// If a turn of the same sequence is being sampled, or it holds no token, or would exceed the model's
    /// context.
    pub fn submit(&mut self, request: GenerationRequest<'_>) {
        self.submit_sampled(request, self.sampling, 0);
    }

    /// Queues a turn with separate settings of sampling, as [`Generator::submit`] does with the generator's.
    ///
    /// - `beside`: the number of likeliest tokens that are listed beside each sampled token
    ///
    /// # Panics
    /// As [`Generator::submit`].
    pub fn submit_sampled(&mut self, request: GenerationRequest<'_>, sampling: Sampling, beside: usize) {
        let GenerationRequest { key, tokens, max_new, .. } = request;
        assert!(!tokens.is_empty(), "a sequence to continue has at least one token");
        let context = self.runner.config().context();
        assert!(tokens.len() + max_new <= context, "the caller keeps sequences within the context");
        let turn = Pending::new(request, sampling, beside);
        let Some(at) = self.slot_of(key) else {
            let twice = self.waiting.insert(key, turn);
            assert!(twice.is_none(), "every sequence has a key of its own");
            return;
        };
        let slot = self.slots[at].as_mut().expect("the slot was just found");
        assert!(slot.turn.is_none(), "every sequence has a key of its own");
        let keep = self.runner.usable(slot.held.len(), slot.common(tokens));
        slot.held.truncate(keep);
        slot.turn = Some(turn);
        self.runner.truncate(at, keep);
    }

    /// Returns the tokens of a sequence's unfinished turn so far; none if it has no such turn.
    pub fn sampled(&self, key: u64) -> Option<SampledSoFar<'_>> {
        let slot = self.sequences().find(|(_, slot)| slot.key == key).map(|(_, slot)| slot);
        slot.and_then(|slot| slot.turn.as_ref()).or_else(|| self.waiting.get(&key)).map(Pending::sampled)
    }

    /// Drops a sequence and frees its cache.
    pub fn release(&mut self, key: u64) {
        self.waiting.remove(&key);
        if let Some(at) = self.slot_of(key) {
            self.free(at);
        }
    }

    /// Samples one token for each sequence that has a turn and a cache; returns the finished turns.
    ///
    /// - `ends`: called with the key of a sequence and each token sampled for it; returns whether the turn
    ///   ends there
    ///
    /// # Errors
    /// If no token can be sampled for one of them.
    pub fn step(
        &mut self,
        stop: &StopRule<'_>,
        ends: &mut dyn FnMut(u64, TokenId) -> bool,
    ) -> Result<Vec<(u64, Generation)>, LogitsError> {
        self.admit();
        let decoded = self.feed();
        let next = self.next(decoded);
        let mut finished = Vec::new();
        for (slot, next) in self.slots.iter_mut().zip(next) {
            let (Some(slot), Some(next)) = (slot, next) else { continue };
            let key = slot.key;
            let turn = slot.turn.as_mut().expect("only turns are fed");
            let finish = turn.go_on(next?, stop, &mut |token| ends(key, token));
            if let Some(finish) = finish {
                let turn = slot.turn.take().expect("it was just sampled for");
                finished.push((key, turn.generation(finish)));
            }
        }
        Ok(finished)
    }

    /// Samples one turn for every request, and returns them in the order of the requests.
    ///
    /// Other sequences are released, with turns that were submitted and not sampled yet.
    ///
    /// # Errors
    /// As [`Generator::step`].
    ///
    /// # Panics
    /// As [`Generator::submit`].
    pub fn complete(
        &mut self,
        requests: &[GenerationRequest<'_>],
        stop: &StopRule<'_>,
    ) -> Result<Vec<Generation>, LogitsError> {
        self.complete_watched(requests, stop, &mut |_, _| false)
    }

    /// Samples one turn for every request, as [`Generator::complete`].
    ///
    /// - `ends`: called with the index of a request and each token sampled for it; returns whether the turn
    ///   ends there
    pub fn complete_watched(
        &mut self,
        requests: &[GenerationRequest<'_>],
        stop: &StopRule<'_>,
        ends: &mut dyn FnMut(usize, TokenId) -> bool,
    ) -> Result<Vec<Generation>, LogitsError> {
        let rows: HashMap<u64, usize> = requests.iter().enumerate().map(|(row, r)| (r.key, row)).collect();
        let held = self.sequences().map(|(_, slot)| slot.key).chain(self.waiting.keys().copied());
        let others: Vec<u64> = held.filter(|key| !rows.contains_key(key)).collect();
        for key in others {
            self.release(key);
        }
        for request in requests {
            self.submit(GenerationRequest { rng: request.rng.clone(), ..*request });
        }
        let mut turns: Vec<Option<Generation>> = requests.iter().map(|_| None).collect();
        while !self.is_idle() {
            for (key, turn) in self.step(stop, &mut |key, token| ends(rows[&key], token))? {
                turns[rows[&key]] = Some(turn);
            }
        }
        Ok(turns.into_iter().map(|turn| turn.expect("every turn ends")).collect())
    }

    /// Samples the next token of each turn whose tokens are all read, by slot.
    fn next(&mut self, decoded: Vec<Option<Decoded>>) -> Vec<Option<Result<Option<Next>, LogitsError>>> {
        let next = |(slot, decoded): (&mut Option<Slot>, Option<Decoded>)| {
            // A prompt may take several steps to read.
            let slot = slot.as_mut().filter(|slot| slot.rest().is_empty())?;
            let decoded = decoded?;
            Some(slot.turn.as_mut().expect("only turns are fed").next(decoded))
        };
        let logits = decoded.iter().flatten().map(|decoded| match decoded {
            Decoded::Logits(logits) => logits.len(),
            Decoded::Drawn { .. } => 0,
        });
        if logits.sum::<usize>() < MIN_PARALLEL {
            return self.slots.iter_mut().zip(decoded).map(next).collect();
        }
        self.slots.par_iter_mut().zip(decoded).map(next).collect()
    }

    /// Lists the sequences that have a slot.
    fn sequences(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.as_ref()?)))
    }

    fn slot_of(&self, key: u64) -> Option<usize> {
        self.sequences().find(|(_, slot)| slot.key == key).map(|(at, _)| at)
    }

    fn free(&mut self, at: usize) {
        self.slots[at] = None;
        self.runner.clear(at);
    }

    /// Gives slots to waiting sequences, in the order of their keys.
    fn admit(&mut self) {
        if self.waiting.is_empty() {
            return self.compact();
        }
        let held = self.sequences().count();
        if held >= self.max_sequences && self.sequences().all(|(_, slot)| slot.turn.is_none()) {
            // Every cached sequence waits for its next turn. The last of them loses its cache and is read
            // again later.
            let last = self.sequences().max_by_key(|(_, slot)| slot.key).map(|(at, _)| at);
            self.free(last.expect("at least one sequence is held"));
        }
        let held = self.sequences().count();
        let wanted = self.waiting.len().min(self.max_sequences.saturating_sub(held));
        let free = self.slots.len() - held;
        if wanted > free {
            self.runner.add(wanted - free);
            self.slots.resize_with(held + wanted, || None);
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.is_none()).take(wanted) {
            let (key, turn) = self.waiting.pop_first().expect("as many wait as are wanted");
            *slot = Some(Slot { key, held: Vec::new(), turn: Some(turn) });
        }
    }

    /// Drops free slots if they are more than half: a tensor backend computes their rows too.
    fn compact(&mut self) {
        let held: Vec<usize> = self.sequences().map(|(at, _)| at).collect();
        if !held.is_empty() && held.len() * 2 <= self.slots.len() {
            self.runner.keep(&held);
            self.slots.retain(Option::is_some);
        }
    }

    /// Feeds each turn the tokens that its cache lacks, and returns what follows the last one, by slot.
    fn feed(&mut self) -> Vec<Option<Decoded>> {
        let (postponed, shared) = self.share_beginnings();
        let reading = self.sequences().filter(|(_, slot)| slot.rest().len() > 1).count();
        let chunk = self.runner.prefill(reading);
        let next: Vec<Vec<TokenId>> = self
            .slots
            .iter()
            .enumerate()
            .map(|(at, slot)| {
                let rest = slot.as_ref().filter(|_| !postponed.contains(&at)).map_or(&[][..], Slot::rest);
                let chunk = if shared.contains(&at) { rest.len() - 1 } else { chunk }.min(chunk);
                rest[..rest.len().min(chunk)].to_vec()
            })
            .collect();
        if next.iter().all(Vec::is_empty) {
            return Vec::new();
        }
        for (slot, tokens) in self.slots.iter_mut().zip(&next) {
            if let Some(slot) = slot {
                slot.held.extend_from_slice(tokens);
            }
        }
        self.steps += 1;
        self.fed += next.iter().map(Vec::len).sum::<usize>();
        let draw =
            |slot: &Option<Slot>| slot.as_ref().filter(|slot| slot.rest().is_empty())?.turn.as_ref()?.draw();
        let draws: Vec<Option<Draw>> = self.slots.iter().map(draw).collect();
        self.runner.feed(&next.iter().map(Vec::as_slice).collect::<Vec<_>>(), &draws)
    }

    /// Copies the beginnings that empty slots share with others, so a group's prompt is read once.
    ///
    /// Returns the slots that wait for one that reads their beginning in this step, and those that stop
    /// before their last token, because states of the tokens before it are waited for.
    fn share_beginnings(&mut self) -> (Vec<usize>, Vec<usize>) {
        let empty = |slot: &Slot| slot.held.is_empty() && slot.turn.is_some();
        let fresh: Vec<usize> = self.sequences().filter(|(_, slot)| empty(slot)).map(|(at, _)| at).collect();
        let stateful = self.runner.config().has_states();
        let (mut leading, mut postponed, mut shared) = (Vec::<usize>::new(), Vec::new(), Vec::new());
        for at in fresh {
            let tokens_of = |at: usize| {
                let slot: Option<&Slot> = self.slots[at].as_ref();
                slot.and_then(|slot| slot.turn.as_ref()).expect("a fresh slot has a turn").tokens()
            };
            let tokens = tokens_of(at);
            let given = |slot: &Slot| self.runner.usable(slot.held.len(), slot.common(tokens));
            let held = self.sequences().map(|(from, slot)| (given(slot), from)).max();
            let (held, from) = held.expect("at least its own slot");
            // A slot that stops before its last token gives the same tokens only.
            let useful =
                |other: &[TokenId]| if stateful && other != tokens { 0 } else { common(other, tokens) };
            let read = leading.iter().map(|&other| (useful(tokens_of(other)), other)).max();
            if let Some((_, other)) = read.filter(|(read, _)| *read >= held + WORTH) {
                postponed.push(at);
                if stateful {
                    shared.push(other);
                }
                continue;
            }
            leading.push(at);
            if held >= WORTH {
                let beginning = tokens[..held].to_vec();
                self.runner.copy(from, at, held);
                self.slots[at].as_mut().expect("a fresh slot is taken").held = beginning;
            }
        }
        (postponed, shared)
    }
}
