//! Steps that replace groups without signal, and draw their tasks by success.

use std::collections::BTreeSet;
use std::path::Path;

use turnwise_model::load as load_model;
use turnwise_rollout::chat::Moment;
use turnwise_run::{GroupRecord, Recorded, StepMetrics};
use turnwise_tests::{device, model_folder};
use turnwise_trainer::{Setup, Trainer, tokenizer};

use crate::lost::OutOfOrder;
use crate::{config, metrics, run, run_on};

/// Few samples, so that many groups have no signal; few tasks, so that they come again.
const SMALL: [&str; 10] = [
    "train.steps=6",
    "rollout.groups=3",
    "rollout.samples=3",
    "rollout.refill=2",
    "env.arithmetic.train_tasks=24",
    "filter.zero_variance=true",
    "eval.tasks=4",
    "optimizer.lr=1e-3",
    "optimizer.warmup=1",
    "optimizer.minibatches=2",
];

const BY_SUCCESS: &str = "rollout.curriculum.success.floor=0.2";

fn sets<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], more].concat()
}

/// The groups of a step's file; none if there is no file.
fn groups(folder: &Path, kind: &str, step: usize) -> Vec<GroupRecord> {
    let text = std::fs::read_to_string(folder.join(format!("rollouts/{kind}_{step:05}.jsonl")));
    text.unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn steps(folder: &Path) -> Vec<StepMetrics> {
    metrics(folder).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whether a trajectory in the loss has an advantage.
fn has_signal(group: &GroupRecord) -> bool {
    let rows = group.advantages.iter().zip(&group.dropped);
    rows.filter(|(_, dropped)| dropped.is_none()).any(|(row, _)| row.iter().any(|&a| a.abs() > 1e-9))
}

#[test]
fn no_group_in_the_loss_is_without_signal_before_the_bound() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    run(&folder, &sets(&[]));
    let (mut replaced_in_all, mut order) = (0, Vec::new());
    for (step, metrics) in steps(&folder).iter().enumerate() {
        let (learnt, replaced) = (groups(&folder, "step", step), groups(&folder, "replaced", step));
        let counted = metrics.refill.expect("the run refills");
        let idle = learnt.iter().filter(|group| !has_signal(group)).count();
        assert_eq!(learnt.len(), 3, "a batch keeps its size");
        assert!(idle == 0 || counted.rounds == 2, "step {step}: {idle} without signal, {counted:?}");
        assert!(replaced.iter().all(|group| !has_signal(group)), "step {step}");
        let found = (counted.played, counted.replaced, counted.without_signal);
        assert_eq!(found, (3 + replaced.len(), replaced.len(), idle), "step {step}");
        let reason = |name: &str| {
            replaced.iter().filter(|group| group.replaced.as_ref().unwrap().reason == name).count()
        };
        assert_eq!((counted.all_right, counted.all_wrong), (reason("all_right"), reason("all_wrong")));
        let right: Vec<bool> = replaced
            .iter()
            .chain(&learnt)
            .flat_map(|group| &group.trajectories)
            .map(|trajectory| trajectory.scored.correct)
            .collect();
        let share = right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
        assert_eq!(counted.accuracy.value(), Some(share), "over all that was played");
        replaced_in_all += replaced.len();
        order.extend(replaced.into_iter().chain(learnt).map(|group| group.group));
    }
    assert!(replaced_in_all > 3, "{replaced_in_all} groups replaced: too few to say anything");
    for epoch in order.chunks(24).filter(|epoch| epoch.len() == 24) {
        let tasks: BTreeSet<&String> = epoch.iter().collect();
        assert!(tasks.len() >= 22, "an epoch plays every task; its edges lie within steps: {}", tasks.len());
    }
}

#[test]
fn a_run_that_refills_goes_on_as_if_it_had_never_stopped() {
    for more in [&[][..], &[BY_SUCCESS]] {
        let parent = tempfile::tempdir().unwrap();
        let (whole, parts) = (parent.path().join("whole"), parent.path().join("parts"));
        let every = [more, &["train.checkpoint_every=1"]].concat();
        run(&whole, &sets(&every));
        for steps in ["train.steps=1", "train.steps=2", "train.steps=5", "train.steps=6"] {
            run(&parts, &sets(&[&every[..], &[steps]].concat()));
        }
        assert_eq!(metrics(&whole), metrics(&parts));
        for step in 0..6 {
            for kind in ["step", "replaced"] {
                assert_eq!(groups(&whole, kind, step), groups(&parts, kind, step), "{kind} {step}");
            }
        }
        let read = |folder: &Path, file: &str| {
            std::fs::read(folder.join("checkpoints/step_00006").join(file)).unwrap()
        };
        for file in ["model.safetensors", "tasks.json"] {
            assert!(read(&whole, file) == read(&parts, file), "{file} differs");
        }
    }
}

#[test]
fn a_run_that_refills_is_replayed_from_its_records() {
    for more in [&[][..], &[BY_SUCCESS]] {
        let parent = tempfile::tempdir().unwrap();
        let (first, second) = (parent.path().join("a"), parent.path().join("b"));
        run(&first, &sets(more));
        run_on(&second, &sets(more), &Recorded::open(&first).unwrap());
        assert_eq!(metrics(&first), metrics(&second));
        let read = |folder: &Path, file: &str| std::fs::read(folder.join(file)).unwrap_or_default();
        let names =
            |kind: &str| (0..6).map(|step| format!("rollouts/{kind}_{step:05}.jsonl")).collect::<Vec<_>>();
        for file in names("step").into_iter().chain(names("replaced")) {
            assert!(read(&first, &file) == read(&second, &file), "{file} differs");
        }
        for file in ["model.safetensors", "tasks.json"] {
            let file = format!("checkpoints/step_00006/{file}");
            assert!(read(&first, &file) == read(&second, &file), "{file} differs");
        }
    }
}

#[test]
fn a_task_that_is_played_again_in_a_step_has_other_random_numbers() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    run(&folder, &sets(&["train.steps=3", "env.arithmetic.train_tasks=1", "rollout.groups=1"]));
    let mut again = 0;
    for step in 0..3 {
        let played = [groups(&folder, "replaced", step), groups(&folder, "step", step)].concat();
        let sampled = |group: &GroupRecord| -> Vec<Vec<u32>> {
            let turns = group.trajectories.iter().flat_map(|trajectory| &trajectory.played.turns);
            turns.map(|turn| turn.logprobs.iter().map(|logprob| logprob.to_bits()).collect()).collect()
        };
        let different: BTreeSet<Vec<Vec<u32>>> = played.iter().map(sampled).collect();
        assert_eq!(different.len(), played.len(), "step {step}: the same random numbers twice");
        again += played.len() - 1;
    }
    assert!(again > 0, "no step played its task again");
}

#[test]
fn groups_that_lost_all_their_trajectories_are_replaced() {
    let mut trainer = {
        let more = ["rollout.groups=4", "env.arithmetic.train_tasks=12", "rollout.samples=2"];
        let config = config(&sets(&more));
        let folder = model_folder("tiny");
        let model = load_model(&folder, &device().autodiff()).unwrap();
        let context = model.config().max_position;
        let tokenizer = tokenizer(&folder).unwrap();
        let opened =
            Setup::open(&config.env, &config.rollout, Some(&folder), tokenizer, context, Moment::now());
        let mut setup = opened.unwrap();
        setup.env = Box::new(OutOfOrder { inner: setup.env, fails: |task| task.id.ends_with("/0") });
        Trainer::new(config, setup, model)
    };
    // All twelve tasks come in three steps, and more.
    let mut lost = 0;
    for step in 0..4 {
        let rollouts = trainer.play(step, &mut |done, all| assert!(done <= all)).unwrap();
        assert_eq!(rollouts.groups.len(), 4);
        let short = rollouts.replaced.iter().filter(|group| group.trajectories.len() < 2);
        assert!(short.clone().all(|group| group.group.ends_with("/0")));
        for group in short.filter(|group| group.trajectories.is_empty()) {
            assert_eq!(group.replaced.as_ref().map(|replaced| &*replaced.reason), Some("lost"));
        }
        lost += rollouts.played.lost.len();
        let record = trainer.learn_from(step, rollouts, turnwise_trainer::Spent::default()).unwrap();
        assert!(record.metrics().refill.unwrap().played >= 4);
    }
    assert!(lost > 0, "the broken task was played");
}
