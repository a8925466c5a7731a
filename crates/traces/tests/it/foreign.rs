//! Traces that only programs of others write: masks of a part, copied steps, sub-agents, continuations.

use serde_json::{Value, json};
use turnwise_trajectory::{CallRecord, Finish, TokenId, Trajectory};

use crate::claims::read;

/// Reads a text with one trace, gives it a reward, and returns its trajectory.
fn played(text: &str) -> Trajectory {
    let mut traces = read(text).unwrap();
    let name = traces.all()[0].name.clone();
    traces.reward("r", &json!({"session": name, "rewards": {"acc": 1.0}}).to_string()).unwrap();
    let mut groups = traces.rollouts(1.0).unwrap();
    assert_eq!((groups.len(), groups[0].trajectories.len()), (1, 1));
    groups.remove(0).trajectories.remove(0).played
}

fn turn(prompt: &[TokenId], sampled: &[TokenId], mask: &[u8]) -> Value {
    let all = [vec![0; prompt.len()], mask.to_vec()].concat();
    json!({"node_id": format!("{prompt:?}"), "prompt_token_ids": prompt, "completion_token_ids": sampled,
           "per_token_logps": vec![-0.5; sampled.len()], "loss_mask": all,
           "response": {"choices": [{"message": {"content": "so"}, "finish_reason": "length"}]}})
}

#[test]
fn masked_tokens_are_context() {
    let turns = [
        turn(&[1], &[2, 3, 4, 5], &[0, 1, 1, 0]),
        turn(&[1, 2, 3, 4, 5, 6], &[7], &[0]),
        turn(&[1, 2, 3, 4, 5, 6, 7, 8], &[9], &[1]),
    ];
    let trajectory = played(&json!({"turns": turns}).to_string());
    assert_eq!((&trajectory.prompt[..], trajectory.turns.len()), (&[1, 2][..], 2));
    assert_eq!((&trajectory.turns[0].tokens[..], &trajectory.turns[1].tokens[..]), (&[3, 4][..], &[9][..]));
    assert_eq!(trajectory.turns[0].observation, [5, 6, 7, 8]);
    assert_eq!((trajectory.turns[0].logprobs.len(), &trajectory.turns[1].text[..]), (2, "so"));
    assert_eq!(trajectory.turns[1].finish, Finish::Length);
    assert!(trajectory.stop.is_truncated());
    assert_eq!(trajectory.tokens(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn rewards_alone_may_stand_beside_a_call() {
    let mut turns = [turn(&[1], &[2], &[1]), turn(&[1, 2, 3], &[4], &[1])];
    turns[1]["metadata"] = json!({"model": "m", "turnwise": {"rewards": {"p": 0.5}}});
    let trajectory = played(&json!({"turns": turns}).to_string());
    assert_eq!(trajectory.turns[1].rewards.get("p"), 0.5);
    assert_eq!(trajectory.tokens(), [1, 2, 3, 4], "its tokens say what it continues");
}

fn step(prompt: &[TokenId], sampled: &[TokenId], more: &Value) -> Value {
    let metrics = json!({"prompt_token_ids": prompt, "completion_token_ids": sampled,
                         "logprobs": vec![-0.5; sampled.len()]});
    let mut step = json!({"step_id": 1, "source": "agent", "message": "m", "metrics": metrics});
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

fn document(steps: &[Value], more: &Value) -> Value {
    let mut document =
        json!({"schema_version": "ATIF-v1.8", "agent": {"name": "a", "version": "1"}, "steps": steps});
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

#[test]
fn copied_steps_and_steps_without_a_model_are_no_calls() {
    let steps = [
        json!({"step_id": 1, "source": "user", "message": [{"type": "text", "text": "2 + 2?"}]}),
        step(&[1], &[2], &json!({"is_copied_context": true})),
        json!({"step_id": 3, "source": "agent", "message": "copied", "is_copied_context": true}),
        json!({"step_id": 4, "source": "agent", "message": "sent", "llm_call_count": 0}),
        step(&[1, 2, 3], &[4], &json!({"llm_call_count": 1})),
    ];
    let trajectory = played(&document(&steps, &json!({"session_id": "s"})).to_string());
    assert_eq!((&trajectory.task[..], &trajectory.prompt[..]), ("s", &[1, 2, 3][..]));
    assert_eq!(trajectory.turns.len(), 1);
}

#[test]
fn sub_agents_are_other_sequences_behind_the_step_that_names_them() {
    let named = json!({"observation": {"results": [
        {"source_call_id": "c", "content": "found", "subagent_trajectory_ref": [{"trajectory_id": "b"}]}]},
        "tool_calls": [{"tool_call_id": "c", "function_name": "delegate", "arguments": {"to": "b"}}]});
    let inner = |name: &str, token: TokenId| {
        let steps = [step(&[token], &[token], &json!({})), step(&[token, token, 1], &[token], &json!({}))];
        document(&steps, &json!({"trajectory_id": name}))
    };
    let steps = [step(&[1], &[2], &named), step(&[1, 2, 3], &[4], &json!({}))];
    let more = json!({"subagent_trajectories": [inner("b", 50), inner("z", 60)]});
    let trajectory = played(&document(&steps, &more).to_string());
    let sampled: Vec<TokenId> = trajectory.turns.iter().map(|turn| turn.tokens[0]).collect();
    assert_eq!(sampled, [60, 60, 2, 50, 50, 4]);
    let sequences: Vec<Vec<TokenId>> = trajectory.sequences().into_iter().map(|s| s.tokens).collect();
    assert_eq!(sequences, [vec![60, 60, 1, 60], vec![1, 2, 3, 4], vec![50, 50, 1, 50]]);
    assert_eq!(trajectory.turns[5].rewards.acc(), 1.0, "the reward is the agent's own");
    let CallRecord::Executed { call, output } = &trajectory.turns[2].calls[0] else { panic!("a call") };
    assert_eq!((&call.name[..], &output.stdout[..]), ("delegate", "found"));
}

#[test]
fn documents_of_one_session_are_one_trace() {
    let of = |session: &str| json!({"session_id": session, "trajectory_id": session});
    let mut first = document(&[step(&[1], &[2], &json!({}))], &of("s"));
    first["continued_trajectory_ref"] = "next.json".into();
    let next = document(&[step(&[1, 2, 3], &[4], &json!({}))], &of("s"));
    let other = document(&[step(&[9], &[8], &json!({}))], &of("t"));
    let trajectory = played(&format!("{first}\n{next}\n"));
    assert_eq!(trajectory.tokens(), [1, 2, 3, 4]);
    let traces = read(&format!("{first}\n{other}\n{next}\n")).unwrap();
    assert_eq!(traces.all().iter().map(|trace| trace.calls.len()).collect::<Vec<_>>(), [2, 1]);
    let error = read(&format!("{first}\n{other}\n")).unwrap_err();
    assert!(
        error.starts_with("f:1: continued_trajectory_ref: the trajectory goes on in \"next.json\""),
        "{error}"
    );
}
