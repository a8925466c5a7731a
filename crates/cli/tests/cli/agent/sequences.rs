//! Conversations whose calls branch or overlap, and their order in rollouts and traces.

use super::*;

#[test]
fn calls_at_once_and_edited_histories_are_sequences_of_one_trajectory() {
    let agents = Agents::new();
    let rows = sums(0, 4);
    let sets = agents.sets("tree.py", rows.iter().enumerate().map(asked));
    let sets = with(&sets, &["eval.tasks=1", "rollout.groups=2", "rollout.samples=4", "optimizer.lr=1e-3"]);
    agents.finishes("a", &sets);
    agents.finishes("b", &with(&sets, &["env.agent.at_once=2"]));
    for file in ["rollouts/step_00000.jsonl", "rollouts/step_00001.jsonl", "metrics.jsonl"] {
        assert!(agents.file(&format!("a/{file}")) == agents.file(&format!("b/{file}")), "{file}");
    }
    for group in agents.rows("a/rollouts/step_00001.jsonl") {
        for trajectory in group["trajectories"].as_array().expect("a list") {
            let turns = trajectory["played"]["turns"].as_array().expect("a list");
            let branches: Vec<_> = turns.iter().map(|turn| &turn["branch"]).collect();
            assert_eq!(branches.iter().filter(|branch| branch.is_null()).count(), 1, "the first turn");
            // Three parts at once, the conversation's next turn, and one with an edited history.
            let parents: Vec<_> = branches.iter().map(|branch| branch["parent"].as_u64()).collect();
            assert_eq!(parents, [None, None, None, None, Some(0), None]);
            assert_eq!(branches[5]["diverged"], true);
        }
    }
    let metrics = agents.rows("a/metrics.jsonl");
    let counts = json!({"count": 40, "diverged": 8, "masked_diverged": 0, "masked_cut": 0});
    for line in &metrics {
        assert_eq!(line["sequences"], counts);
        assert!((line["prefix_kept"].as_f64().unwrap() - 40.0 / 48.0).abs() < 1e-12);
    }
    assert!(
        metrics[0]["logprob_gap"].as_f64().unwrap() < 1e-3,
        "trainer and sampler read the same: {metrics:?}"
    );
    agents.finishes("c", &with(&sets, &["filter.diverged=true", "train.steps=1"]));
    let masked = &agents.rows("c/metrics.jsonl")[0];
    assert_eq!(masked["sequences"]["masked_diverged"], 8);
    assert_ne!(masked["loss"], metrics[0]["loss"]);
    // A replay learns from it again, without the programs.
    let (from, to) = (agents.runs.path("a"), agents.runs.path("again"));
    let replay = ["replay", arg(&from), "--run", arg(&to)];
    let replayed = turnwise(&replay, "");
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    let weights = |run: &str| {
        std::fs::read(agents.runs.path(&format!("{run}/checkpoints/step_00002/model.safetensors")))
            .expect("weights")
    };
    assert!(weights("a") == weights("again"), "a replay is the same run");
}

/// Returns the contexts of a trajectory's turns, in their order.
fn contexts(played: &Value) -> Vec<Value> {
    let turns = played["turns"].as_array().expect("a list");
    let first = std::iter::once(played["prompt"].clone());
    first.chain(turns[1..].iter().map(|turn| turn["branch"]["context"].clone())).collect()
}

#[test]
fn calls_one_after_another_stay_in_their_order_in_runs_and_in_traces() {
    let agents = Agents::new();
    // The tokens of one sub-agent's question come before those of the last call, and the other's after.
    let task = |(nth, sub): (usize, &str)| json!({"id": format!("t{nth}"), "question": "1+2", "sub": sub});
    let tasks: Vec<Value> = ["1+1", "9+9"].into_iter().enumerate().map(task).collect();
    let sets = agents.sets("order.py", tasks.clone());
    let sets = with(
        &sets,
        &["rollout.groups=2", "rollout.samples=2", "train.steps=1", "eval.tasks=0", "filter.truncated=true"],
    );
    agents.finishes("a", &sets);
    let metrics = &agents.rows("a/metrics.jsonl")[0];
    assert_eq!(metrics["sequences"]["count"], 12);
    assert_eq!((&metrics["truncated"], &metrics["dropped"]), (&json!(0.0), &json!(0.0)));
    assert_eq!(metrics["sequences"]["masked_cut"], 0, "limits of the program are none of the run");
    let mut played = Vec::new();
    for group in agents.rows("a/rollouts/step_00000.jsonl") {
        for trajectory in group["trajectories"].as_array().expect("a list") {
            let turns = trajectory["turns"].as_array().expect("a list");
            assert_eq!((turns.len(), &turns[1]["sub"], &turns[2]["acc"]), (3, &json!(0.25), &json!(1.0)));
            let finish = &trajectory["played"]["turns"][1]["finish"];
            assert!(["asked", "end_of_turn"].contains(&finish.as_str().unwrap()), "{finish}");
            played.push((group["group"].clone(), contexts(&trajectory["played"])));
        }
    }
    // The same programs against `turnwise serve`.
    let record = agents.folder.path().join("record");
    let served = Served::tiny(&["--format", "fenced_python", "--no-description", "--record", arg(&record)]);
    for task in &tasks {
        let mut program = std::process::Command::new("python3");
        let name = task["id"].as_str().unwrap();
        program.arg(script("order.py")).env("OPENAI_BASE_URL", &served.url).env("OPENAI_API_KEY", name);
        let played = ran(program.env("TURNWISE_TASK", task.to_string()), "");
        assert_eq!(played.code, Some(0), "{}", played.stderr);
        served.post(
            name,
            &format!("/sessions/{name}/reward"),
            &json!({"rewards": {"acc": 1.0}, "done": true}),
        );
    }
    served.end();
    let sessions = record.join("sessions.jsonl");
    let traces = turnwise(&["traces", arg(&sessions), "--to", "rollouts"], "");
    assert_eq!(traces.code, Some(0), "{}", traces.stderr);
    for line in traces.stdout.lines() {
        let group: Value = serde_json::from_str(line).expect("JSON");
        let trajectory = &group["trajectories"][0];
        let same = (group["group"].clone(), contexts(&trajectory["played"]));
        assert!(played.contains(&same), "{same:?}");
        assert_eq!(
            (&trajectory["turns"][2]["acc"], &trajectory["played"]["stop"]),
            (&json!(1.0), &json!("answer"))
        );
    }
}
