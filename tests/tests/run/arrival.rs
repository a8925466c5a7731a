//! Rollouts of a model whose tools take their time: what is sampled doesn't depend on when outputs arrive, on
//! who plays beside whom, or on how many caches there is room for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use turnwise_model::load as load_model;
use turnwise_rollout::chat::Moment;
use turnwise_rollout::{Game, Played, PolicyError, play};
use turnwise_sampler::Sampling;
use turnwise_tests::{device, model_folder};
use turnwise_tools::executor::{ExecutorStats, PythonConfig, PythonExecutor};
use turnwise_tools::{CodeSession, Executor, ExecutorFault, ExecutorInfo};
use turnwise_trainer::{CacheBudget, ModelPolicy, Setup, tokenizer};
use turnwise_trajectory::{CallRecord, ToolOutput, Trajectory};

use crate::config;

/// Python that answers after a delay that differs from call to call.
struct Late {
    python: PythonExecutor,
    state: AtomicU64,
    most_ms: u64,
}

impl Late {
    fn sleep(&self) {
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33;
        std::thread::sleep(Duration::from_millis(mixed % (self.most_ms + 1)));
    }
}

impl Executor for Late {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        self.sleep();
        self.python.run(code)
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        self.python.session()
    }

    fn describe(&self) -> ExecutorInfo {
        self.python.describe()
    }

    fn at_once(&self) -> usize {
        16
    }

    fn take_stats(&self) -> ExecutorStats {
        self.python.take_stats()
    }
}

/// Plays 5 tasks 4 times. How long anything took is no part of the result.
fn played(
    most_ms: u64,
    seed: u64,
    workers: usize,
    cache_mib: Option<u64>,
) -> Result<Vec<Vec<Trajectory>>, PolicyError> {
    let (config, folder) = (config(&[]), model_folder("tiny"));
    let model = load_model(&folder, &device()).unwrap();
    let context = model.config().context();
    let (text, now) = (tokenizer(&folder).unwrap(), Moment::now());
    let setup = Setup::open(&config.env, &config.rollout, Some(&folder), text, context, now).unwrap();
    let python = PythonExecutor::new(PythonConfig::default()).unwrap();
    let late = Late { python, state: seed.into(), most_ms };
    let game = Game { executor: &late, ..setup.game() };
    let tasks: Vec<_> = setup.env.train().iter().take(5).collect();
    let mut policy = ModelPolicy::new(&model, Sampling::default(), workers, 7, 3)
        .within(CacheBudget::new(cache_mib, &device()));
    let Played { mut groups, lost, .. } = play(&game, &tasks, 4, &mut policy, &mut |_, _| {})?;
    assert!(lost.is_empty(), "{lost:?}");
    let records = groups.iter_mut().flatten().flat_map(|t| &mut t.turns).flat_map(|turn| &mut turn.calls);
    for record in records {
        if let CallRecord::Executed { output, .. } = record {
            (output.wall_ms, output.cpu_ms) = (0.0, 0.0);
        }
    }
    Ok(groups)
}

#[test]
fn rollouts_do_not_depend_on_when_tools_answer_or_on_room_for_caches() {
    let at_once = played(0, 0, 1, None).unwrap();
    let exact = format!("{:?}", device()).to_lowercase().contains("flex");
    let turns = at_once.iter().flatten().map(|trajectory| trajectory.turns.len());
    assert!(turns.sum::<usize>() > 40, "several turns each");
    // A trajectory of 320 tokens takes 240 KiB: there is room for 4, 8 and all of them.
    for (most_ms, seed, workers, cache_mib) in
        [(30, 1, 1, None), (30, 2, 2, None), (12, 3, 1, Some(1)), (60, 4, 2, Some(1)), (0, 5, 2, Some(2))]
    {
        let others = played(most_ms, seed, workers, cache_mib).unwrap();
        for (trajectory, other) in at_once.iter().flatten().zip(others.iter().flatten()) {
            let (task, sample) = (&trajectory.task, trajectory.sample);
            // On the host the numbers are the same to the bit; a tensor backend pads its rows.
            if exact {
                assert_eq!(trajectory, other, "{task} {sample}, cache_mib {cache_mib:?}");
            } else {
                assert_eq!(trajectory.tokens(), other.tokens(), "{task} {sample}, cache_mib {cache_mib:?}");
            }
        }
        assert_eq!(others.iter().flatten().count(), 20);
    }
}

#[test]
fn a_budget_for_less_than_one_trajectory_is_refused_with_the_numbers() {
    let message = played(0, 0, 1, Some(0)).unwrap_err().to_string();
    assert!(
        message.contains("320 tokens needs 0.2 MiB of keys and values, 768 bytes per token"),
        "{message}"
    );
}
