//! A client that others have written learns from its rewards.

use super::*;

const OPENAI: &str = "openai==3.57.0";

/// A model from random weights that has learnt to call each of two tools in half of its conversations.
fn two_tools(folder: &Path) -> PathBuf {
    let tool = |name: &str| json!({"name": name, "parameters": {"type": "object", "properties": {}}});
    let tools = ["left", "right"].map(tool);
    let row = |nth: usize| {
        let call = json!({"function": {"name": (["left", "right"][nth % 2]), "arguments": {}}});
        json!({"tools": tools, "messages": [
            {"role": "user", "content": format!("go {}", nth / 2)},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "content": "ok"},
            {"role": "assistant", "content": "Done."},
        ]})
    };
    let data = lines(folder, "conversations.jsonl", (0..16).map(row));
    let (config, model) = (folder.join("sft.toml"), folder.join("two-tools"));
    let text = format!(
        "steps = 500\nbatch = 16\n[model.scratch]\nvocab_size = 400\nhidden_size = 64\nintermediate_size = 128\n\
         layers = 2\nheads = 2\nkv_heads = 1\nmax_position = 256\n[optimizer]\nlr = 3e-3\nwarmup = 10\n\
         [rollout]\ndescribe_tools = false\n[data]\nfile = {:?}\n",
        arg(&data)
    );
    std::fs::write(&config, text).expect("a file");
    let made = turnwise(&["sft", arg(&config), "--out", arg(&model)], "");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    model
}

#[test]
fn an_agent_with_the_openai_package_learns_which_of_its_two_tools_to_call() {
    let Some(python) = python_with("openai", "openai-3.57.0", &[&[OPENAI]]) else { return };
    let agents = Agents::new();
    let model = two_tools(agents.folder.path());
    let command = format!("env.agent.command=[{python:?}, {:?}]", script("openai_agent.py"));
    let model = format!("model={:?}", arg(&model));
    let task = |nth: usize| json!({"id": format!("t{nth}"), "question": format!("go {nth}")});
    let sets = agents.sets("openai_agent.py", (0..8).map(task));
    let more = [
        command.as_str(),
        model.as_str(),
        "rollout.format=hermes",
        "rollout.max_tokens=250",
        // The package takes most of the time of a trajectory to load: 48 of them are 40 s of CPU time.
        "train.steps=3",
        "train.checkpoint_every=3",
        "rollout.groups=2",
        "rollout.samples=8",
        "optimizer.lr=1.5e-3",
        "optimizer.warmup=0",
        "optimizer.minibatches=1",
        "shaping.alpha=0",
        "loss.clip.beta=0",
        "eval.tasks=0",
        "env.agent.at_once=4",
    ];
    agents.finishes("a", &with(&sets, &more));
    // Calls of both tools are the same but for the name, so the probability of a turn is that of its choice.
    let chosen = |step: usize, name: &str| -> Vec<f64> {
        let groups = agents.rows(&format!("a/rollouts/step_{step:05}.jsonl"));
        let first = |trajectory: &Value| {
            let turn = &trajectory["played"]["turns"][0];
            let logprobs = turn["logprobs"].as_array().expect("a list");
            let sum: f64 = logprobs.iter().map(|logprob| logprob.as_f64().expect("a number")).sum();
            turn["text"].as_str().expect("text").contains(name).then(|| sum.exp())
        };
        let of = |group: &Value| group["trajectories"].as_array().expect("a list").clone();
        groups.iter().flat_map(of).filter_map(|trajectory| first(&trajectory)).collect()
    };
    let middle = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (left, right) = (chosen(0, "left"), chosen(0, "right"));
    assert!(left.len() >= 3 && right.len() >= 3, "both tools are called: {left:?}, {right:?}");
    let (first, last) = (middle(&right), middle(&chosen(2, "right")));
    assert!((0.4..0.6).contains(&first) && last > first + 0.12, "from {first} to {last}");
}
