//! Layers with states, and experts: cached decoding is the whole pass, whatever happens to slots, and nothing
//! leaks from one sequence into another.

use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use turnwise_model::{
    HostCache, HostModel, KvCache, TokenBatch, Transformer, load, parameter_id, token_logprobs,
};
use turnwise_sampler::{GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, golden, max_abs_diff, values};

const FAMILIES: [&str; 4] = ["lfm2", "lfm2-bias", "qwen3_5", "qwen3_5-bias"];

/// Models whose layers have experts and no states.
const EXPERTS: [&str; 4] = ["qwen3_moe", "qwen3_moe-window", "olmoe", "olmoe-clip"];

fn each(check: impl Fn(&str, Transformer)) {
    each_of(&FAMILIES, check);
}

fn each_of(families: &[&str], check: impl Fn(&str, Transformer)) {
    for family in families {
        check(family, load(&golden(&format!("model/{family}")), &device().autodiff()).expect("golden"));
    }
}

fn tokens(count: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|at| (3 + (at * 7 + seed * 11) % 57) as u32).collect()
}

/// Scores after the last token, by the pass over the whole row.
fn whole(model: &Transformer, row: &[u32]) -> Vec<f32> {
    let scores = values(model.logits(model.hidden(&TokenBatch::new(&[row]))));
    scores[scores.len() - model.config().vocab_size..].to_vec()
}

/// Compares the scores that follow new tokens with those of the whole pass.
fn compare(model: &Transformer, rows: &[Vec<u32>], new: &[Vec<u32>], scores: &[Vec<f32>], said: &str) {
    for ((row, new), scores) in rows.iter().zip(new).zip(scores) {
        if !new.is_empty() {
            let diff = max_abs_diff(scores, &whole(model, row));
            assert!(diff <= 1e-4, "{said}: a row of {} tokens differs by {diff}", row.len());
        }
    }
}

/// Sequences in a cache of each kind, and what they hold.
struct Held<'a> {
    model: &'a Transformer,
    host: HostModel,
    rows: Vec<Vec<u32>>,
    cache: KvCache,
    caches: Vec<HostCache>,
}

impl Held<'_> {
    fn feed(&mut self, lengths: &[usize], seed: usize, said: &str) {
        let seeds = seed..;
        let new: Vec<Vec<u32>> =
            lengths.iter().zip(seeds).map(|(count, seed)| tokens(*count, seed)).collect();
        for (row, new) in self.rows.iter_mut().zip(&new) {
            row.extend(new);
        }
        let scores = values(self.model.logits(self.model.extend(&TokenBatch::new(&new), &mut self.cache)));
        let scores: Vec<Vec<f32>> =
            scores.chunks(self.model.config().vocab_size).map(<[f32]>::to_vec).collect();
        compare(self.model, &self.rows, &new, &scores, &format!("{said}, on the device"));
        let mut feeds: Vec<_> = new.iter().map(Vec::as_slice).zip(&mut self.caches).collect();
        let scores = self.host.extend(&mut feeds);
        compare(self.model, &self.rows, &new, &scores, &format!("{said}, on the host"));
    }
}

#[test]
fn cached_decoding_is_the_whole_pass_over_turns_with_slots_moved_copied_and_emptied() {
    each_of(&[&FAMILIES[..], &EXPERTS].concat(), |family, model| {
        let model = model.valid();
        let mut held = Held {
            model: &model,
            host: HostModel::of(&model),
            rows: vec![Vec::new(); 4],
            cache: KvCache::new(model.config(), 4),
            caches: vec![HostCache::default(); 4],
        };
        held.feed(&[1, 2, 20, 0], 1, &format!("{family}, first turn"));
        held.feed(&[1, 1, 1, 70], 2, &format!("{family}, second turn"));
        held.feed(&[9, 0, 3, 1], 3, &format!("{family}, third turn"));
        // Slots move.
        let order = [2, 0, 3];
        held.cache = held.cache.keep(&order);
        held.caches = order.iter().map(|&slot| held.caches[slot].clone()).collect();
        held.rows = order.iter().map(|&slot| held.rows[slot].clone()).collect();
        held.feed(&[4, 1, 0], 4, &format!("{family}, moved"));
        // One is copied, to a new slot and over another.
        held.cache.add(1);
        held.caches.push(HostCache::default());
        held.rows.push(Vec::new());
        let all = held.rows[0].len();
        for to in [3, 1] {
            // A slot is emptied before another sequence takes it.
            held.cache.truncate(to, 0);
            held.cache.copy(0, to, all);
            held.caches[to] = held.caches[0].beginning(all);
            held.rows[to] = held.rows[0].clone();
        }
        held.feed(&[1, 6, 2, 1], 5, &format!("{family}, copied"));
        // One is emptied and read again.
        held.cache.truncate(2, 0);
        held.caches[2].truncate(0);
        held.rows[2].clear();
        held.feed(&[0, 1, 5, 1], 6, &format!("{family}, emptied"));
        // Some are read apart from the others.
        let mut part = held.cache.keep(&[3, 0]);
        let new = [tokens(3, 8), tokens(5, 9)];
        let scores = values(model.logits(model.extend(&TokenBatch::new(&new), &mut part)));
        held.cache.put(&[3, 0], part);
        for ((slot, new), scores) in
            [3, 0].into_iter().zip(&new).zip(scores.chunks(model.config().vocab_size))
        {
            held.rows[slot].extend(new);
            assert!(max_abs_diff(scores, &whole(&model, &held.rows[slot])) <= 1e-4, "{family}, apart");
            held.host.extend(&mut [(new, &mut held.caches[slot])]);
        }
        held.feed(&[1, 1, 1, 1], 10, &format!("{family}, together again"));
    });
}

#[test]
fn the_host_computes_the_same_bits_however_tokens_are_cut() {
    each_of(&[&FAMILIES[..], &EXPERTS].concat(), |family, model| {
        let host = HostModel::of(&model.valid());
        let (row, other) = (tokens(130, 5), tokens(40, 6));
        let mut at_once = HostCache::default();
        let expect = host.extend(&mut [(&row, &mut at_once)]).remove(0);
        let (mut cut, mut company) = (HostCache::default(), HostCache::default());
        let mut last = Vec::new();
        for (new, theirs) in [(&row[..1], &other[..9]), (&row[1..3], &other[9..]), (&row[3..], &[][..])] {
            last = host.extend(&mut [(theirs, &mut company), (new, &mut cut)]).remove(1);
        }
        assert_eq!(last, expect, "{family}");
    });
}

#[test]
fn a_row_of_a_micro_batch_sees_no_other() {
    each_of(&[&FAMILIES[..], &EXPERTS].concat(), |family, model| {
        let rows = [tokens(19, 1), tokens(1, 2), tokens(2, 3), tokens(30, 4)];
        let batch = TokenBatch::new(&rows);
        let wanted = vec![true; batch.tokens.len()];
        let plain = model.valid();
        let together = values(token_logprobs(&plain, &batch, &wanted, 1.0, false).logprobs);
        for (row, together) in rows.iter().zip(together.chunks(batch.columns)) {
            let alone = TokenBatch::new(&[row]);
            let alone = values(token_logprobs(&plain, &alone, &vec![true; row.len()], 1.0, false).logprobs);
            let diff = max_abs_diff(&alone, &together[..row.len()]);
            assert!(diff <= 1e-5, "{family}: a row of {} tokens differs by {diff} in company", row.len());
        }
        // The loss of a row has no gradient in a token that only its neighbours have.
        let rows = [vec![3_u32, 4, 5, 6], vec![7, 8, 9, 10, 11], vec![12, 13]];
        let batch = TokenBatch::new(&rows);
        let wanted: Vec<bool> = (0..15).map(|cell| cell / 5 == 1).collect();
        let loss = token_logprobs(&model, &batch, &wanted, 1.0, false).logprobs.sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let embedding = values(
            gradients.get::<2>(parameter_id("model.embed_tokens.weight")).expect("the embedding is trained"),
        );
        let width = model.config().hidden_size;
        let size = |token: u32| {
            let row = &embedding[token as usize * width..][..width];
            row.iter().fold(0.0_f32, |most, grad| most.max(grad.abs()))
        };
        assert!(size(7) > 0.0, "{family}: the first token of the row matters");
        if !model.config().tied_embeddings {
            for token in [3, 4, 5, 6, 12, 13] {
                assert_eq!(size(token), 0.0, "{family}: token {token} of a neighbour");
            }
        }
    });
}

fn request(sample: u32, tokens: &[u32], max_new: usize) -> GenerationRequest<'_> {
    let rng = SequenceId { seed: 3, step: 0, task: 0, occurrence: 0, sample, turn: 0 }.rng();
    GenerationRequest { key: u64::from(sample), tokens, max_new, rng }
}

#[test]
fn a_group_reads_its_prompt_once_and_samples_what_each_samples_alone() {
    const NO_STOP: StopRule<'static> = StopRule { tokens: &[], strings: &[], decode: None };
    each(|family, model| {
        let model = model.valid();
        let on_host = Arc::new(HostModel::of(&model));
        let generators = || {
            let sampling = Sampling::default();
            [Generator::new(model.clone(), sampling), Generator::on_host(on_host.clone(), sampling)]
        };
        let (prompt, other) = (tokens(40, 1), [tokens(30, 1), tokens(3, 5)].concat());
        for (engine, mut generator) in generators().into_iter().enumerate() {
            let prompts = [&prompt, &other, &prompt, &prompt];
            let requests: Vec<_> =
                prompts.iter().enumerate().map(|(at, tokens)| request(at as u32, tokens, 9)).collect();
            let turns = generator.complete(&requests, &NO_STOP).unwrap();
            // Both prompts, the last token of the shared one again for each copy, and eight sampled ones.
            assert_eq!(generator.fed(), 40 + 33 + 2 + 4 * 8, "{family}, engine {engine}");
            for (at, turn) in turns.iter().enumerate() {
                let alone = &mut generators()[engine];
                let alone = alone.complete(&[request(at as u32, prompts[at], 9)], &NO_STOP).unwrap();
                assert_eq!(turn.tokens, alone[0].tokens, "{family}, engine {engine}, sequence {at}");
            }
            // The second turn of one, one whose history was changed, and one that lost its cache.
            let next = |at: usize| [prompts[at].as_slice(), &turns[at].tokens, &tokens(5, at)].concat();
            let changed = [&prompt[..20], &tokens(8, 77)].concat();
            let lines = [next(0), next(1), changed, next(3)];
            generator.release(3);
            let requests: Vec<_> =
                lines.iter().enumerate().map(|(at, tokens)| request(at as u32, tokens, 6)).collect();
            let second = generator.complete(&requests, &NO_STOP).unwrap();
            let mut bounded = generators().into_iter().nth(engine).unwrap();
            bounded.bound(2);
            let again = bounded.complete(&requests, &NO_STOP).unwrap();
            for (at, (turn, again)) in second.iter().zip(&again).enumerate() {
                assert_eq!(turn.tokens, again.tokens, "{family}, engine {engine}, sequence {at}");
            }
        }
    });
}
