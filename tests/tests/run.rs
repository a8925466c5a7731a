//! Whole runs on the committed tiny model: they learn, and the same seed gives the same bytes.

#[path = "run/arrival.rs"]
mod arrival;
#[path = "run/lost.rs"]
mod lost;
#[path = "run/memory.rs"]
mod memory;
#[path = "run/precision.rs"]
mod precision;
#[path = "run/router.rs"]
mod router;
#[path = "run/sampling.rs"]
mod sampling;
#[path = "run/sft.rs"]
mod sft;
#[path = "run/turn_rewards.rs"]
mod turn_rewards;
#[path = "run/words.rs"]
mod words;

use std::path::{Path, PathBuf};

use turnwise_model::family::Family;
use turnwise_model::{TokenBatch, Transformer, load as load_model, load_adapter, save, token_logprobs};
use turnwise_rollout::chat::Moment;
use turnwise_run::Recorded;
use turnwise_tests::{device, max_abs_diff, model_folder, values};
use turnwise_trainer::RunSite;
use turnwise_trainer::config::{RunConfig, load};
use turnwise_trainer::progress::Silent;
use turnwise_trainer::{Finished, Play, RolloutSource, RunOptions, train};
use turnwise_trajectory::Trajectory;

fn run(folder: &Path, sets: &[&str]) -> Finished {
    run_on(folder, sets, &Play)
}

/// 2024-12-30, a second before midnight.
const BEGAN: i64 = 1_735_603_199;

fn run_on(folder: &Path, sets: &[&str], rollouts: &dyn RolloutSource) -> Finished {
    run_with(folder, sets, RunOptions { rollouts, ..RunOptions::default() })
}

fn config(sets: &[&str]) -> RunConfig {
    config_of(&model_folder("tiny"), sets)
}

fn config_of(model: &Path, sets: &[&str]) -> RunConfig {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs/tiny.toml");
    let model = format!("model={:?}", model.display().to_string());
    let sets: Vec<String> = sets.iter().map(ToString::to_string).chain([model]).collect();
    load(Some(&file), &[], &sets).expect("the shipped configuration")
}

/// Writes a model of a family with random weights, and the tokenizer of the folder `like`.
fn make(folder: &Path, like: &Path, family: &str, json: &serde_json::Value) {
    let family = Family::named(family).expect("a family");
    let config = family.read(json.as_object().expect("an object")).expect("a configuration");
    save(&Transformer::random(&config, 0, &device()), family, Some(like), folder).expect("a folder");
}

fn run_with(folder: &Path, sets: &[&str], options: RunOptions<'_>) -> Finished {
    train(&config(sets), &place(BEGAN), folder, options, &mut Silent).expect("a run")
}

fn place(unix: i64) -> RunSite {
    let now = Moment::from_unix(unix);
    RunSite { device: device(), device_name: "test".into(), git_commit: None, now, server_key: None }
}

/// A run of this model by a clock that shows this moment.
fn run_at(folder: &Path, sets: &[&str], rollouts: &dyn RolloutSource, unix: i64, model: &Path) -> Finished {
    let options = RunOptions { rollouts, ..RunOptions::default() };
    train(&config_of(model, sets), &place(unix), folder, options, &mut Silent).expect("a run")
}

#[test]
fn a_run_that_goes_on_or_is_replayed_tomorrow_sees_the_same_date() {
    let parent = tempfile::tempdir().unwrap();
    let model = parent.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(model_folder("tiny")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, model.join(path.file_name().unwrap())).unwrap();
    }
    let dated = "{{ '<|im_start|>system\n' + strftime_now('%d %b %Y %H:%M') + '<|im_end|>\n' }}\
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    std::fs::write(model.join("chat_template.jinja"), dated).unwrap();
    let small = ["train.checkpoint_every=1", "rollout.groups=2", "rollout.samples=2", "eval.tasks=4"];
    let go = |name: &str, steps: &str, rollouts: &dyn RolloutSource, days: i64| {
        let folder = parent.path().join(name);
        run_at(&folder, &[&small[..], &[steps]].concat(), rollouts, BEGAN + 86_400 * days, &model);
        let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
        (read("metrics.jsonl"), read("rollouts/step_00001.jsonl"), read("evaluation.json"))
    };
    let (one, two) = ("train.steps=1", "train.steps=2");
    let whole = go("whole", two, &Play, 0);
    run_at(&parent.path().join("halves"), &[&small[..], &[one]].concat(), &Play, BEGAN, &model);
    assert_eq!(go("halves", two, &Play, 1), whole, "it goes on a day later");
    assert_ne!(go("later", two, &Play, 1).1, whole.1, "another run shows its own date");
    let recorded = Recorded::open(&parent.path().join("whole")).unwrap();
    assert_eq!(go("replayed", two, &recorded, 1).2, whole.2, "a replay shows that of the record");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let parent = tempfile::tempdir().unwrap();
    let small = ["train.steps=2", "rollout.groups=3", "rollout.samples=4", "eval.tasks=4"];
    let record = |name: &str| {
        let folder = parent.path().join(name);
        run(&folder, &small);
        let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        let weights = std::fs::read(folder.join("checkpoints/step_00002/model.safetensors")).unwrap();
        let rollouts = std::fs::read(folder.join("rollouts/step_00001.jsonl")).unwrap();
        let env = std::fs::read_to_string(folder.join("env.json")).unwrap();
        (metrics, weights, rollouts, env)
    };
    let (first, second) = (record("a"), record("b"));
    assert_eq!(first.0, second.0);
    assert_eq!(first.0.lines().count(), 2);
    assert!(first.1 == second.1, "the weights differ");
    assert!(first.2 == second.2, "the rollouts differ");
    assert_eq!(first.3, second.3);
    let env: serde_json::Value = serde_json::from_str(&first.3).unwrap();
    assert_eq!(env["program_sha256"].as_str().map(str::len), Some(64), "{env}");
}

#[test]
fn remembered_outputs_change_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let record = |name: &str, remember: &str| {
        let folder = parent.path().join(name);
        let sets = ["train.steps=2", "rollout.groups=3", "rollout.samples=4", "eval.tasks=4", remember];
        run(&folder, &sets);
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let count = |key: &str| -> u64 {
            let lines = text("times.jsonl");
            let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            lines.map(|line| line[key].as_u64().unwrap()).sum()
        };
        let weights = std::fs::read(folder.join("checkpoints/step_00002/model.safetensors")).unwrap();
        let records = ["metrics.jsonl", "rollouts/step_00000.jsonl", "rollouts/step_00001.jsonl"].map(text);
        ((records, weights), (count("tool_executions"), count("tool_remembered")))
    };
    let (every_call, (all, none)) = record("a", "rollout.remember_mib=0");
    let (once, (ran, remembered)) = record("b", "rollout.remember_mib=64");
    assert!(every_call == once, "rollouts, metrics or weights differ");
    assert_eq!((none, ran + remembered), (0, all));
    assert!(remembered > 0 && ran > 0, "{ran} of {all} calls ran");
}

#[test]
fn sampler_and_trainer_agree_before_the_first_update() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    run(&folder, &["train.steps=1", "rollout.groups=2", "eval.tasks=1"]);
    let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    let gap = line["logprob_gap"].as_f64().unwrap();
    assert!(gap <= 1e-4, "log-probabilities differ by {gap}");
    assert!((line["ratio"].as_f64().unwrap() - 1.0).abs() <= 1e-5);
}

#[test]
fn a_greedy_evaluation_draws_no_random_numbers() {
    let parent = tempfile::tempdir().unwrap();
    let before = |seed: &str| {
        let sets =
            ["train.steps=1", "rollout.groups=1", "eval.tasks=6", "eval.samples=2", "eval.temperature=0"];
        let finished = run(&parent.path().join(seed), &[&sets[..], &[seed]].concat());
        assert_eq!(finished.after.trajectories, 12);
        finished.before
    };
    let (one, other) = (before("train.seed=1"), before("train.seed=2"));
    assert_eq!(one, other);
    let same = one.outcomes.iter().all(|task| task.samples[0] == task.samples[1]);
    assert!(same, "{:?}", one.outcomes);
}

#[test]
fn gtpo_learns() {
    let parent = tempfile::tempdir().unwrap();
    let finished = run(
        &parent.path().join("a"),
        &["train.steps=12", "rollout.groups=8", "eval.tasks=128", "optimizer.warmup=2"],
    );
    let gain = finished.after.accuracy - finished.before.accuracy;
    assert!(
        gain >= 0.05,
        "held-out accuracy went from {} to {}",
        finished.before.accuracy,
        finished.after.accuracy
    );
}

#[test]
fn an_adapter_is_trained_and_the_base_is_not() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    run(
        &folder,
        &[
            "train.steps=2",
            "rollout.groups=3",
            "eval.tasks=2",
            "optimizer.lora.rank=4",
            "optimizer.lora.alpha=8",
        ],
    );
    let checkpoint = folder.join("checkpoints/step_00002");
    let device = device();
    let start = load_model(&model_folder("tiny"), &device).unwrap();
    let adapted = load_adapter(start.clone(), &checkpoint.join("adapter")).unwrap();
    let merged = load_model(&checkpoint, &device).expect("the checkpoint is a model of its own");
    let batch = TokenBatch::new(&[[5_u32, 6, 7, 8, 9]]);
    let logits = |model: &Transformer| values(model.logits(model.hidden(&batch)));
    assert!(max_abs_diff(&logits(&adapted), &logits(&merged)) <= 1e-4, "base and adapter are the checkpoint");
    assert!(max_abs_diff(&logits(&start), &logits(&merged)) > 1e-3, "the adapter has learnt something");
}

#[test]
fn recomputing_blocks_trains_the_same_policy() {
    let parent = tempfile::tempdir().unwrap();
    let weights = |name: &str, set: &str| {
        let folder = parent.path().join(name);
        run(&folder, &["train.steps=1", "rollout.groups=3", "eval.tasks=1", set]);
        let model = load_model(&folder.join("checkpoints/step_00001"), &device()).unwrap();
        let batch = TokenBatch::new(&[[5_u32, 6, 7, 8, 9]]);
        values(model.logits(model.hidden(&batch)))
    };
    let diff =
        max_abs_diff(&weights("a", "optimizer.recompute=false"), &weights("b", "optimizer.recompute=true"));
    assert!(diff <= 1e-3, "logits after a step differ by {diff}");
}

const SMALL: [&str; 6] = [
    "train.steps=3",
    "rollout.groups=3",
    "rollout.samples=4",
    "eval.tasks=4",
    "optimizer.lr=1e-3",
    "optimizer.warmup=1",
];

fn metrics(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap()
}

/// One key of the metrics, step by step.
fn column(folder: &Path, key: &str) -> Vec<f64> {
    let lines = metrics(folder);
    let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()[key].as_f64().unwrap();
    lines.lines().map(value).collect()
}

#[test]
fn a_run_replayed_with_its_own_config_is_the_same_run() {
    let parent = tempfile::tempdir().unwrap();
    let (first, second, other) = (parent.path().join("a"), parent.path().join("b"), parent.path().join("c"));
    run(&first, &SMALL);
    let recorded = Recorded::open(&first).unwrap();
    run_on(&second, &SMALL, &recorded);
    assert_eq!(metrics(&first), metrics(&second));
    let weights =
        |folder: &Path| std::fs::read(folder.join("checkpoints/step_00003/model.safetensors")).unwrap();
    assert!(weights(&first) == weights(&second), "the weights differ");

    // Another estimator sees the same trajectories and learns something else from them.
    run_on(&other, &[&SMALL[..], &["advantage=grpo"]].concat(), &recorded);
    assert_eq!(column(&first, "reward"), column(&other, "reward"));
    assert_ne!(column(&first, "grad_norm"), column(&other, "grad_norm"));
}

#[test]
fn kl_in_the_reward_is_zero_at_the_start_and_charged_afterwards() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    run(&folder, &[&SMALL[..], &["shaping.kl_beta=0.5", "shaping.alpha=0"]].concat());
    let drift = |step: usize| {
        let text = std::fs::read_to_string(folder.join(format!("rollouts/step_{step:05}.jsonl"))).unwrap();
        let mut most = 0.0_f64;
        for line in text.lines() {
            let group: serde_json::Value = serde_json::from_str(line).unwrap();
            for (i, trajectory) in group["trajectories"].as_array().unwrap().iter().enumerate() {
                for (j, turn) in trajectory["turns"].as_array().unwrap().iter().enumerate() {
                    let kl = trajectory["kl"][j].as_f64().expect("every turn has its KL");
                    let reward = turn["acc"].as_f64().unwrap() + turn["fmt"].as_f64().unwrap();
                    let charged = reward - group["rewards"][i][j].as_f64().unwrap();
                    assert!((charged - 0.5 * kl).abs() <= 1e-9, "charged {charged} for a KL of {kl}");
                    most = most.max(kl.abs());
                }
            }
        }
        most
    };
    assert!(drift(0) <= 1e-3, "the first policy is its own reference, KL {}", drift(0));
    assert!(drift(2) > 10.0 * drift(0), "the policy has moved, KL {}", drift(2));
}

/// Log-probability of each turn's tokens under a model that is not the one that played.
fn turn_logprobs(model: &Transformer, played: &Trajectory, temperature: f64) -> Vec<f64> {
    let tokens = played.tokens();
    let batch = TokenBatch::new(&[tokens.as_slice()]);
    let wanted = vec![true; tokens.len()];
    let logprobs = values(token_logprobs(model, &batch, &wanted, temperature, false).logprobs);
    let sum =
        |span: std::ops::Range<usize>| logprobs[span].iter().map(|&logprob| f64::from(logprob)).sum::<f64>();
    played.turn_spans().into_iter().map(sum).collect()
}

#[test]
fn the_reference_of_an_adapter_is_its_base_also_after_a_stop() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    let sets = ["optimizer.lora.rank=4", "optimizer.lr=1e-2", "shaping.kl_beta=0.1", "shaping.alpha=0"];
    let sets = [&SMALL[..], &sets[..]].concat();
    run(&folder, &[&sets[..], &["train.steps=2"]].concat());
    run(&folder, &sets);
    let base = load_model(&model_folder("tiny"), &device()).unwrap();
    let mut moved = 0.0_f64;
    // Step 2 is the first one of the second process.
    for step in 0..3 {
        let text = std::fs::read_to_string(folder.join(format!("rollouts/step_{step:05}.jsonl"))).unwrap();
        for line in text.lines() {
            let group: serde_json::Value = serde_json::from_str(line).unwrap();
            for trajectory in group["trajectories"].as_array().unwrap() {
                let played: Trajectory = serde_json::from_value(trajectory["played"].clone()).unwrap();
                let by_base = turn_logprobs(&base, &played, 1.0);
                for ((turn, by_base), kl) in
                    played.turns.iter().zip(by_base).zip(trajectory["kl"].as_array().unwrap())
                {
                    let by_policy: f64 = turn.logprobs.iter().map(|&logprob| f64::from(logprob)).sum();
                    let (expected, kl) = (by_policy - by_base, kl.as_f64().unwrap());
                    assert!(
                        (kl - expected).abs() <= 1e-3,
                        "step {step}: KL {kl}, to the base it is {expected}"
                    );
                    if step == 2 {
                        moved = moved.max(kl.abs());
                    }
                }
            }
        }
    }
    assert!(moved > 0.05, "the adapter has moved the policy, by {moved}");
}

#[test]
fn importance_weights_of_rollouts_that_are_not_stale_change_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let (plain, weighted) = (parent.path().join("a"), parent.path().join("b"));
    run(&plain, &[&SMALL[..], &["train.steps=1"]].concat());
    run(&weighted, &[&SMALL[..], &["train.steps=1", "loss.clip.tis_cap=2.0"]].concat());
    let (a, b) = (column(&plain, "grad_norm")[0], column(&weighted, "grad_norm")[0]);
    assert!((a - b).abs() <= 1e-3 * a, "gradient norms {a} and {b}");
    // A sampler that is sure of itself where the trainer is not: replayed numbers that are off by a nat.
    let text = std::fs::read_to_string(plain.join("rollouts/step_00000.jsonl")).unwrap();
    let stale = parent.path().join("stale");
    std::fs::create_dir_all(stale.join("rollouts")).unwrap();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut group: serde_json::Value = serde_json::from_str(line).unwrap();
        for trajectory in group["trajectories"].as_array_mut().unwrap() {
            for turn in trajectory["played"]["turns"].as_array_mut().unwrap() {
                for logprob in turn["logprobs"].as_array_mut().unwrap() {
                    *logprob = (logprob.as_f64().unwrap() + 1.0).into();
                }
            }
        }
        lines.push(group.to_string());
    }
    std::fs::write(stale.join("rollouts/step_00000.jsonl"), lines.join("\n")).unwrap();
    let replayed = parent.path().join("c");
    let recorded = Recorded::open(&stale).unwrap();
    run_on(&replayed, &[&SMALL[..], &["train.steps=1", "loss.clip.tis_cap=2.0"]].concat(), &recorded);
    let c = column(&replayed, "grad_norm")[0];
    let expected = a * (-1.0_f64).exp();
    assert!((c - expected).abs() <= 1e-2 * expected, "weights of exp(-1) give {expected}, not {c}");
}
