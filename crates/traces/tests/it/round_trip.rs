//! Sessions through the formats of others: the same tokens, log-probabilities, rewards and trees.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use turnwise_trajectory::{Rewards, TokenId};

use crate::claims::{hold, kept, read, written};

/// Holds a call as it is drawn: which earlier call it continues, what it reads after it, what it samples.
#[derive(Debug, Clone)]
struct Drawn {
    parent: Option<usize>,
    context: Vec<TokenId>,
    sampled: Vec<(TokenId, f32)>,
    rewards: Vec<(String, f64)>,
    diverged: bool,
    cut: bool,
}

/// Makes a sum of grades of a reward named `acc`.
fn graded((name, reward): (String, f64)) -> (String, f64) {
    let reward = if name == "acc" { reward.abs() } else { reward };
    (name, reward)
}

/// Few tokens, so that prompts begin alike by chance.
fn drawn() -> impl Strategy<Value = Drawn> {
    let logprob = prop_oneof![Just(0.0_f32), Just(-1e-7), -30.0..0.0_f32];
    let name = select(vec!["acc", "fmt", "progress"]).prop_map(String::from);
    let reward = prop_oneof![Just(1.0), Just(-0.1), -4e99..4e99_f64, Just(5e-324)];
    (
        proptest::option::of(0..6_usize),
        vec(0..3_u32, 1..3),
        vec((0..3_u32, logprob), 1..4),
        vec((name, reward).prop_map(graded), 0..3),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(parent, context, sampled, rewards, diverged, cut)| Drawn {
            parent,
            context,
            sampled,
            rewards,
            diverged,
            cut,
        })
}

/// Holds the whole prompt of a call, and what it samples.
type Read = (Vec<TokenId>, Vec<TokenId>);

/// Returns the line of a session, and what each of its calls reads and samples.
fn session(name: &str, drawn: &[Drawn]) -> (String, Vec<Read>) {
    let mut calls: Vec<Read> = Vec::new();
    let mut line = Vec::new();
    for (place, call) in drawn.iter().enumerate() {
        let parent = call.parent.filter(|parent| *parent < place);
        let before = parent.map_or_else(Vec::new, |at| [&calls[at].0[..], &calls[at].1].concat());
        let prompt = [before, call.context.clone()].concat();
        let (tokens, logprobs): (Vec<TokenId>, Vec<f32>) = call.sampled.iter().copied().unzip();
        let rewards: Rewards =
            [call.rewards.clone(), vec![("acc".into(), 0.0)]].concat().into_iter().collect();
        // Numbers leave out calls that weren't answered.
        let number = |place: usize| 2 * place + 1;
        let mut told = json!({
            "call": number(place), "parent": parent.map(number), "prompt_token_ids": prompt,
            "token_ids": tokens, "logprobs": logprobs, "rewards": rewards,
        });
        if call.diverged {
            told["diverged"] = true.into();
        }
        if call.cut {
            told["finish"] = "length".into();
        }
        line.push(told);
        calls.push((prompt, tokens));
    }
    (json!({"session": name, "calls": line, "done": true}).to_string() + "\n", calls)
}

proptest! {
    #[test]
    fn every_format_keeps_tokens_log_probabilities_rewards_and_trees(
        sessions in vec((select(vec!["a", "b", "c/1"]), vec(drawn(), 1..7)), 1..5)
    ) {
        let (lines, told): (Vec<String>, Vec<Vec<Read>>) =
            sessions.iter().map(|(name, drawn)| session(name, drawn)).unzip();
        let text = lines.concat();
        let traces = read(&text).unwrap();
        let groups = traces.rollouts(1.0).unwrap();

        // Sessions of one name are the attempts at one task, in their order.
        let mut trajectories = Vec::new();
        for group in &groups {
            let named = sessions.iter().zip(&told).filter(|((name, _), _)| *name == group.group);
            prop_assert_eq!(named.clone().count(), group.trajectories.len());
            trajectories.extend(named.zip(&group.trajectories));
        }
        prop_assert_eq!(trajectories.len(), sessions.len());
        for (((_, drawn), told), record) in trajectories {
            let turns = record.played.turns.iter().zip(&record.scored.turns);
            for ((turn, scored), call) in turns.zip(drawn) {
                let logprobs: Vec<f32> = call.sampled.iter().map(|(_, logprob)| *logprob).collect();
                prop_assert_eq!(&turn.logprobs, &logprobs);
                let rewards: Rewards = call.rewards.iter().cloned().collect();
                for (name, reward) in rewards.iter() {
                    prop_assert_eq!(scored.get(name), reward);
                }
            }
            for sequence in record.played.sequences() {
                for (turn, span) in sequence.turns {
                    let (prompt, sampled) = &told[turn];
                    prop_assert_eq!(&sequence.tokens[..span.start], &prompt[..]);
                    prop_assert_eq!(&sequence.tokens[span], &sampled[..]);
                }
            }
        }

        for text in written(&traces) {
            let again = read(&text).unwrap();
            prop_assert_eq!(kept(&again.rollouts(1.0).unwrap()), kept(&groups));
            hold(text.as_bytes());
        }
        // Rollouts that are read again are the same.
        let rollouts: String =
            groups.iter().map(|group| serde_json::to_string(group).unwrap() + "\n").collect();
        let again = read(&rollouts).unwrap();
        prop_assert_eq!(kept(&again.rollouts(1.0).unwrap()), kept(&groups));
        hold(rollouts.as_bytes());
    }

    #[test]
    fn tokens_alone_say_which_call_a_prompt_continues(calls in vec(drawn(), 1..7)) {
        let (text, told) = session("a", &calls);
        for text in written(&read(&text).unwrap()) {
            let mut document: Value = serde_json::from_str(&text).unwrap();
            // Other programs write nothing under our key.
            for key in ["turns", "steps"] {
                for part in document[key].as_array_mut().into_iter().flatten() {
                    for ours in ["metadata", "extra"] {
                        part.as_object_mut().unwrap().remove(ours);
                    }
                }
            }
            document.as_object_mut().unwrap().remove("extra");
            let mut traces = read(&document.to_string()).unwrap();
            let name = traces.all()[0].name.clone();
            let line = json!({"session": name, "rewards": {"acc": 1.0}}).to_string();
            traces.reward("r", &line).unwrap();
            let groups = traces.rollouts(1.0).unwrap();
            let played = &groups[0].trajectories[0].played;
            prop_assert_eq!(played.turns.len(), told.len());
            for sequence in played.sequences() {
                for (turn, span) in sequence.turns {
                    prop_assert_eq!(&sequence.tokens[..span.start], &told[turn].0[..]);
                    prop_assert_eq!(&sequence.tokens[span], &told[turn].1[..]);
                }
            }
            // A call that continues another one, token by token, opens no other conversation.
            for (place, turn) in played.turns.iter().enumerate() {
                let begins = |other: &Read| told[place].0.starts_with(&[&other.0[..], &other.1].concat());
                let opens = turn.branch.as_ref().is_some_and(|branch| branch.parent.is_none());
                prop_assert!(!(opens && told[..place].iter().any(begins)));
            }
        }
    }
}

#[test]
fn programs_states_and_violations_of_rollouts_reach_credit_by_any_format() {
    let turn = |said: u32| {
        json!({"tokens": [said], "logprobs": [-0.5], "text": "t", "finish": "end_of_turn", "calls": [],
            "observation": [7], "version": 0})
    };
    let trajectory = json!({
        "turns": [{"acc": 0.0}, {"acc": 1.0, "fmt": -0.1}], "correct": true, "code": "print(1)",
        "violations": [true, false], "void_turn": true, "states": ["", "1"], "calls": ["c", ""],
        "played": {"task": "g", "sample": 0, "prompt": [1], "turns": [turn(2), turn(3)], "stop": "answer"},
    });
    let first = read(&json!({"group": "g", "step": 0, "trajectories": [trajectory]}).to_string()).unwrap();
    let scored =
        |traces: &turnwise_traces::Traces| traces.rollouts(1.0).unwrap()[0].trajectories[0].scored.clone();
    let expect = scored(&first);
    assert_eq!((expect.code.as_str(), &expect.violations[..]), ("print(1)", &[true, false][..]));
    assert_eq!((expect.states.join("|"), expect.calls.join("|")), ("|1".into(), "c|".into()));
    assert!(expect.void_turn && expect.correct);
    for text in written(&first) {
        assert_eq!(scored(&read(&text).unwrap()), expect, "{text}");
    }
}
