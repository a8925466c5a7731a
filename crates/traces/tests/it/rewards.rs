//! Rewards from outside reach the traces and calls that they name.

use serde_json::json;
use turnwise_traces::Traces;

/// Two attempts of one name, of two calls each; numbers leave out call 1.
fn traces() -> Traces {
    let call = |number: u32, parent: Option<u32>, prompt: &[u32]| {
        json!({"call": number, "parent": parent, "prompt_token_ids": prompt, "token_ids": [3], "logprobs": [-0.5],
               "rewards": {"acc": 0.25}})
    };
    let line = json!({"session": "s", "calls": [call(0, None, &[1]), call(2, Some(0), &[1, 3, 4])]});
    let mut traces = Traces::default();
    traces.read("f", &format!("{line}\n{line}\n")).unwrap();
    traces
}

#[test]
fn equal_names_are_told_in_their_order_and_rewards_add_up() {
    let mut traces = traces();
    let lines = [
        json!({"session": "s", "rewards": {"acc": 0.5}, "turn_rewards": [{"p": 1}, {}, {"p": 2}]}),
        json!({"session": "s", "task": "t", "correct": true}),
    ];
    traces.reward("r", &format!("{}\n\n{}\n", lines[0], lines[1])).unwrap();
    let groups = traces.rollouts(1.0).unwrap();
    assert_eq!(groups.iter().map(|group| &group.group[..]).collect::<Vec<_>>(), ["s", "t"]);
    let [first, second] = [0, 1].map(|nth| &groups[nth].trajectories[0]);
    let read = |turn: usize, name: &str| first.scored.turns[turn].get(name);
    assert_eq!([read(0, "acc"), read(0, "p"), read(1, "acc"), read(1, "p")], [0.25, 1.0, 0.75, 2.0]);
    assert!(first.scored.correct, "an accuracy of 1 in all");
    assert!(second.scored.correct && second.scored.turns[1].acc() == 0.25);
    assert!(!traces.rollouts(1.01).unwrap()[0].trajectories[0].scored.correct);
}

#[test]
fn rewards_of_no_trace_or_call_are_refused_with_their_line() {
    let check = |line: &str, expect: &str| {
        let error =
            traces().reward("r", &format!("{{\"session\":\"s\"}}\n{line}\n")).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{error}");
    };
    for acc in ["-3.0", "2.0"] {
        let grade = format!("the reward \"acc\" is {acc}, expected a grade from 0 to 1");
        let line = |rewards: &str| format!(r#"{{"session":"s",{rewards}}}"#).replace("ACC", acc);
        check(&line(r#""rewards":{"acc":ACC}"#), &format!("r:2: rewards: {grade}"));
        check(&line(r#""turn_rewards":[{},{"acc":ACC}]"#), &format!("r:2: turn_rewards[1]: {grade}"));
    }
    check(
        r#"{"session":"s","rewards":{"":1}}"#,
        "r:2: rewards: the reward \"\": a name has 1 to 64 bytes and no control characters",
    );
    check(r#"{"session":"x","rewards":{"acc":1}}"#, "r:2: session: no trace is called \"x\"");
    check(r#"{"session":"s","turn_rewards":[{},{"p":1}]}"#, "r:2: turn_rewards[1]: there is no call 1");
    check(
        r#"{"session":"s","rewards":{"acc":"much"}}"#,
        "r:2: rewards.acc: the text \"much\", expected a number",
    );
    check(r#"{"session":"s","reward":1}"#, "r:2: reward: unknown field `reward`");
    check("{\"session\":\"s\"}\n{\"session\":\"s\"}", "r:3: session: no further trace is called \"s\"");
    check(r#"{"rewards":{"acc":1}}"#, "r:2: missing field `session`");
}

#[test]
fn the_result_of_a_trial_of_harbor_names_the_task_and_the_rewards() {
    let mut traces = traces();
    let result = json!({"task_name": "hello", "trial_name": "hello__x", "verifier_result": {"rewards": {"reward": 1}}});
    traces.reward_trial(1, "result.json", &result.to_string()).unwrap();
    let groups = traces.rollouts(1.0).unwrap();
    assert_eq!(
        (&groups[1].group[..], groups[1].trajectories[0].scored.turns[1].get("reward")),
        ("hello", 1.0)
    );
    let mut none = self::traces();
    none.reward_trial(1, "result.json", r#"{"task_name":"hello","verifier_result":null}"#).unwrap();
    assert_eq!(none.rollouts(1.0).unwrap()[1].group, "hello");
}
