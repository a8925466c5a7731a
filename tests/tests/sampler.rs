//! The sampler against the full forward pass, and against itself in other company.

use std::sync::Arc;

use burn::module::Module;
use turnwise_model::{
    AttentionConfig, BlockConfig, HostModel, ModelConfig, QkNorm, TokenBatch, Transformer, token_logprobs,
};
use turnwise_sampler::{Generation, GenerationRequest, Generator, Sampling, SequenceId, StopRule};
use turnwise_tests::{device, max_abs_diff, values};
use turnwise_trajectory::Finish;

const NO_STOP: StopRule<'static> = StopRule { tokens: &[], strings: &[], decode: None };

fn model(seed: u64) -> Transformer {
    let attention =
        AttentionConfig { qkv_bias: true, qk_norm: Some(QkNorm::PerHead), ..AttentionConfig::new(4, 2, 8) };
    let config = ModelConfig {
        max_position: 256,
        ..ModelConfig::new(50, 32, vec![BlockConfig::new(attention, 64); 2])
    };
    Transformer::random(&config, seed, &device().autodiff())
}

/// The model on its backend, and on the host.
fn generators(model: &Transformer, sampling: Sampling) -> [Generator; 2] {
    let on_host = Arc::new(HostModel::of(model));
    [Generator::new(model.clone(), sampling), Generator::on_host(on_host, sampling)]
}

fn request(sample: u32, turn: u32, tokens: &[u32], max_new: usize) -> GenerationRequest<'_> {
    let rng = SequenceId { seed: 3, step: 0, task: 0, occurrence: 0, sample, turn }.rng();
    GenerationRequest { key: u64::from(sample), tokens, max_new, rng }
}

/// Log-probabilities of `tokens[from..]` by the trainer's function.
fn recomputed(model: &Transformer, tokens: &[u32], from: usize, temperature: f64) -> Vec<f32> {
    let batch = TokenBatch::new(&[tokens]);
    values(token_logprobs(model, &batch, &vec![true; tokens.len()], temperature, false).logprobs)[from..]
        .to_vec()
}

#[test]
fn logprobs_of_sampler_and_trainer_agree_over_turns_of_different_lengths() {
    let model = model(1);
    // Truncation changes what is drawn, not what is recorded.
    let sampling = |temperature| Sampling { temperature, top_k: 20, top_p: 0.9, min_p: 0.01 };
    let both = |temperature| generators(&model.valid(), sampling(temperature)).map(|g| (temperature, g));
    for (temperature, mut generator) in [0.7, 1.0].into_iter().flat_map(both) {
        let mut sequences: Vec<Vec<u32>> =
            (0..5).map(|i| (0..3 + 4 * i).map(|t| (t * 7 + i) % 50).collect()).collect();
        for turn in 0..4 {
            let requests: Vec<GenerationRequest<'_>> = sequences
                .iter()
                .enumerate()
                .map(|(i, tokens)| request(i as u32, turn, tokens, 4 + 3 * i))
                .collect();
            let turns = generator.complete(&requests, &NO_STOP).unwrap();
            for (i, (tokens, turn)) in sequences.iter_mut().zip(turns).enumerate() {
                let from = tokens.len();
                tokens.extend(&turn.tokens);
                let diff = max_abs_diff(&turn.logprobs, &recomputed(&model, tokens, from, temperature));
                assert!(diff <= 1e-4, "sequence {i}: log-probabilities differ by {diff}");
                // An observation of another length for everyone.
                tokens.extend((0..2 + i as u32 * 3).map(|t| (t + 11) % 50));
            }
        }
    }
}

#[test]
fn a_sequence_is_the_same_alone_in_a_batch_and_in_another_order() {
    let model = model(2).valid();
    let prompts: Vec<Vec<u32>> = (0..7).map(|i| (0..5 + i).map(|t| (t * 3 + i) % 50).collect()).collect();
    let play = |engine: usize, order: &[usize]| -> Vec<Generation> {
        let generator = &mut generators(&model, Sampling::default())[engine];
        let requests: Vec<GenerationRequest<'_>> =
            order.iter().map(|&i| request(i as u32, 0, &prompts[i], 24)).collect();
        let turns = generator.complete(&requests, &NO_STOP).unwrap();
        let mut sorted: Vec<(usize, Generation)> = order.iter().copied().zip(turns).collect();
        sorted.sort_by_key(|(i, _)| *i);
        sorted.into_iter().map(|(_, turn)| turn).collect()
    };
    for engine in 0..2 {
        let together = play(engine, &[0, 1, 2, 3, 4, 5, 6]);
        let reversed = play(engine, &[6, 5, 4, 3, 2, 1, 0]);
        for i in 0..prompts.len() {
            let alone = play(engine, &[i]).remove(0);
            assert_eq!(together[i].tokens, alone.tokens, "sequence {i} alone");
            assert_eq!(together[i].tokens, reversed[i].tokens, "sequence {i} in another slot");
            let tolerance = if engine == 0 { 1e-5 } else { 0.0 };
            assert!(max_abs_diff(&together[i].logprobs, &alone.logprobs) <= tolerance);
        }
    }
    assert_eq!(play(0, &[3])[0].tokens, play(1, &[3])[0].tokens, "the host samples what the backend samples");
}

#[test]
fn sequences_that_end_leave_the_others_undisturbed() {
    let model = model(4).valid();
    let prompts: Vec<Vec<u32>> = (0..4_u32).map(|i| vec![i, i + 1, i + 2]).collect();
    let run = |engine: usize, survivors: &[usize]| {
        let generator = &mut generators(&model, Sampling::default())[engine];
        let first: Vec<GenerationRequest<'_>> =
            (0..4).map(|i| request(i as u32, 0, &prompts[i], 6 + i)).collect();
        let turns = generator.complete(&first, &NO_STOP).unwrap();
        let longer: Vec<Vec<u32>> =
            prompts.iter().zip(&turns).map(|(p, t)| [p.as_slice(), &t.tokens, &[9, 9]].concat()).collect();
        let second: Vec<GenerationRequest<'_>> =
            survivors.iter().map(|&i| request(i as u32, 1, &longer[i], 8)).collect();
        generator.complete(&second, &NO_STOP).unwrap()
    };
    for engine in 0..2 {
        let all = run(engine, &[0, 1, 2, 3]);
        let some = run(engine, &[1, 3]);
        assert_eq!(some[0].tokens, all[1].tokens);
        assert_eq!(some[1].tokens, all[3].tokens);
    }
}

#[test]
fn a_group_s_prompt_is_read_once_and_its_sequences_go_their_own_ways() {
    let model = model(5).valid();
    let prompt: Vec<u32> = (0..150).map(|t| t * 7 % 50).collect();
    let requests: Vec<GenerationRequest<'_>> = (0..4).map(|sample| request(sample, 0, &prompt, 12)).collect();
    let mut generator = Generator::on_host(Arc::new(HostModel::of(&model)), Sampling::default());
    let turns = generator.complete(&requests, &NO_STOP).unwrap();
    for (sample, turn) in turns.iter().enumerate() {
        let mut alone = Generator::on_host(Arc::new(HostModel::of(&model)), Sampling::default());
        let alone = alone.complete(&[request(sample as u32, 0, &prompt, 12)], &NO_STOP).unwrap().remove(0);
        assert_eq!(*turn, alone);
        let whole = [prompt.as_slice(), &turn.tokens].concat();
        assert!(max_abs_diff(&turn.logprobs, &recomputed(&model, &whole, prompt.len(), 1.0)) <= 1e-4);
    }
    assert_ne!(turns[0].tokens, turns[1].tokens);
}

#[test]
fn nothing_is_computed_twice() {
    let model = model(5).valid();
    let prompt: Vec<u32> = (0..150).map(|t| t * 7 % 50).collect();
    // The last token of a turn is fed with the next turn, if there is one.
    let sampled = |turns: &[Generation]| turns.iter().map(|turn| turn.tokens.len() - 1).sum::<usize>();
    for generator in &mut generators(&model, Sampling::default()) {
        let requests: Vec<GenerationRequest<'_>> =
            (0..4).map(|sample| request(sample, 0, &prompt, 12)).collect();
        let first = generator.complete(&requests, &NO_STOP).unwrap();
        // A sequence that copies a beginning reads its last token again.
        assert_eq!(generator.fed(), prompt.len() + 3 + sampled(&first), "a group's prompt");
        let before = generator.fed();
        let observation = [9; 20];
        let longer: Vec<Vec<u32>> =
            first.iter().map(|turn| [&prompt[..], &turn.tokens, &observation].concat()).collect();
        let requests: Vec<GenerationRequest<'_>> =
            longer.iter().zip(0..).map(|(tokens, sample)| request(sample, 1, tokens, 12)).collect();
        let second = generator.complete(&requests, &NO_STOP).unwrap();
        let read = 4 * (1 + observation.len());
        assert_eq!(generator.fed() - before, read + sampled(&second), "observations");
    }
}

#[test]
fn sequences_that_come_and_go_at_any_time_are_as_if_they_were_alone() {
    let model = model(6).valid();
    // Beginnings that several share, and different lengths.
    let prompts: Vec<Vec<u32>> = (0..10)
        .map(|i| (0..40).map(|t| t * 3 + i / 4).chain(0..=5 * (i % 4)).map(|t| t % 50).collect())
        .collect();
    let (turns, max_new) = (3, |i: usize| 4 + 3 * (i % 4));
    let alone = |engine: usize, i: usize| -> Vec<Generation> {
        let generator = &mut generators(&model, Sampling::default())[engine];
        let mut tokens = prompts[i].clone();
        let mut play = |turn| {
            let request = request(i as u32, turn, &tokens, max_new(i));
            let said = generator.complete(&[request], &NO_STOP).unwrap().remove(0);
            tokens.extend(said.tokens.iter().chain(&[i as u32, 9, 9]));
            said
        };
        (0..turns).map(&mut play).collect()
    };
    for (engine, bound) in [(0, 20), (0, 3), (1, 20), (1, 3), (1, 1)] {
        let generator = &mut generators(&model, Sampling::default())[engine];
        generator.bound(bound);
        let (mut tokens, mut said) = (prompts.clone(), vec![Vec::new(); prompts.len()]);
        // When each has a turn: one after the other at first, and again a while after its last one.
        let mut due: Vec<(usize, usize)> = (0..prompts.len()).map(|i| (2 * (i / 2), i)).collect();
        let mut step = 0;
        while !due.is_empty() || !generator.is_idle() {
            for (_, i) in due.extract_if(.., |(at, _)| *at <= step) {
                generator.submit(request(i as u32, said[i].len() as u32, &tokens[i], max_new(i)));
            }
            for (key, turn) in generator.step(&NO_STOP, &mut |_, _| false).unwrap() {
                let i = key as usize;
                tokens[i].extend(turn.tokens.iter().chain(&[i as u32, 9, 9]));
                said[i].push(turn);
                if said[i].len() < turns as usize {
                    due.push((step + 1 + 2 * (i % 3), i));
                } else {
                    generator.release(key);
                }
            }
            step += 1;
        }
        for (i, said) in said.iter().enumerate() {
            for (turn, alone) in said.iter().zip(alone(engine, i)) {
                assert_eq!(turn.tokens, alone.tokens, "engine {engine}, room for {bound}, sequence {i}");
                let tolerance = if engine == 0 { 1e-5 } else { 0.0 };
                assert!(max_abs_diff(&turn.logprobs, &alone.logprobs) <= tolerance);
            }
            assert_eq!(said.len(), turns as usize);
        }
    }
}

#[test]
fn a_batch_gives_up_what_it_does_not_ask_for() {
    let model = model(7).valid();
    let prompts: Vec<Vec<u32>> = (0..5_u32).map(|i| (0..4 + i).map(|t| (t * 3 + i) % 50).collect()).collect();
    for engine in 0..2 {
        let alone = generators(&model, Sampling::default())[engine]
            .complete(&[request(4, 0, &prompts[4], 8)], &NO_STOP)
            .unwrap()
            .remove(0);
        for (bound, steps) in [(1, 0), (1, 3), (2, 3), (9, 0), (9, 3)] {
            let generator = &mut generators(&model, Sampling::default())[engine];
            generator.bound(bound);
            // Some are being sampled by then, the others wait for room.
            for sample in 0..4 {
                generator.submit(request(sample, 0, &prompts[sample as usize], 8));
            }
            for _ in 0..steps {
                assert!(generator.step(&NO_STOP, &mut |_, _| false).unwrap().is_empty());
            }
            let said = generator.complete(&[request(4, 0, &prompts[4], 8)], &NO_STOP).unwrap();
            assert_eq!(
                said[0].tokens, alone.tokens,
                "engine {engine}, room for {bound}, after {steps} steps"
            );
            assert!(generator.is_idle());
        }
    }
}

#[test]
fn a_watched_turn_ends_behind_the_token_that_ends_it_and_no_other_turn_does() {
    let model = model(5).valid();
    let prompts: Vec<Vec<u32>> = (0..3_u32).map(|i| vec![i, i + 1, i + 2]).collect();
    let requests =
        || prompts.iter().enumerate().map(|(i, p)| request(i as u32, 0, p, 12)).collect::<Vec<_>>();
    let free = Generator::new(model.clone(), Sampling::default()).complete(&requests(), &NO_STOP).unwrap();
    let mut told = vec![Vec::new(); 3];
    let mut ends = |row: usize, token: u32| {
        told[row].push(token);
        row == 1 && told[1].len() == 5
    };
    let watched = Generator::new(model.clone(), Sampling::default())
        .complete_watched(&requests(), &NO_STOP, &mut ends)
        .unwrap();
    assert_eq!((&watched[0], &watched[2]), (&free[0], &free[2]));
    assert_eq!((watched[1].tokens.as_slice(), watched[1].finish), (&free[1].tokens[..5], Finish::StopString));
    assert_eq!(watched[1].logprobs.len(), 5, "all its tokens are kept");
    let kept: Vec<Vec<u32>> = watched.into_iter().map(|turn| turn.tokens).collect();
    assert_eq!(told, kept, "each token is told once");
    // A token that ends the turn anyway ends it in its own way.
    let stop = [free[1].tokens[4]];
    let rule = StopRule { tokens: &stop, strings: &[], decode: None };
    let both = Generator::new(model, Sampling::default())
        .complete_watched(&requests()[1..2], &rule, &mut |_, token| token == stop[0])
        .unwrap();
    assert_eq!(both[0].finish, Finish::EndOfTurn);
}
