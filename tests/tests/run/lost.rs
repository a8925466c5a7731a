//! An answer that can't be judged costs its trajectory; only many of them end a run.

use burn::module::Module;
use turnwise_envs::{Demonstration, Env, EnvError, Opened, RewardConfig, Start, Task, Tasks};
use turnwise_model::load as load_model;
use turnwise_rollout::Policy;
use turnwise_rollout::chat::Moment;
use turnwise_sampler::Sampling;
use turnwise_tests::{device, model_folder};
use turnwise_tools::Fault;
use turnwise_trainer::{ModelPolicy, Setup, Spent, TrainError, Trainer, Trial, tokenizer};
use turnwise_trajectory::Trajectory;

use crate::config;

/// An environment whose judge is out of order for the tasks of which a function says so.
pub(crate) struct OutOfOrder {
    pub(crate) inner: Box<dyn Env>,
    pub(crate) fails: fn(&Task) -> bool,
}

impl Env for OutOfOrder {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn tasks(&self) -> &Tasks {
        self.inner.tasks()
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        self.inner.session(start)
    }

    fn answer(&self, text: &str) -> Option<String> {
        self.inner.answer(text)
    }

    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        self.inner.final_answer(played)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        if (self.fails)(task) {
            return Err(EnvError::Judge {
                env: "test",
                task: task.id.clone(),
                message: "no verdict".into(),
                hint: "look at it",
            });
        }
        self.inner.is_correct(task, answer)
    }

    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        self.inner.demonstration(index)
    }
}

/// A trainer of two tasks with four samples each, and a judge that may fail.
fn trainer(fails: fn(&Task) -> bool) -> Trainer {
    let config = config(&["rollout.groups=2", "rollout.samples=4", "env.arithmetic.train_tasks=2"]);
    let folder = model_folder("tiny");
    let model = load_model(&folder, &device().autodiff()).unwrap();
    let (context, now) = (model.config().max_position, Moment::now());
    let mut setup =
        Setup::open(&config.env, &config.rollout, Some(&folder), tokenizer(&folder).unwrap(), context, now)
            .unwrap();
    setup.env = Box::new(OutOfOrder { inner: setup.env, fails });
    Trainer::new(config, setup, model)
}

#[test]
fn a_judge_that_fails_for_some_answers_costs_them_and_the_step_goes_on() {
    let mut trainer = trainer(|task| task.id.ends_with("/0"));
    let rollouts = trainer.play(0, &mut |_, _| {}).unwrap();
    let record = trainer.learn_from(0, rollouts, Spent::default()).unwrap();
    let metrics = record.metrics();
    let lost = metrics.rollouts_lost;
    assert!((1..=4).contains(&lost), "{lost} of 8, those of one task that came to an answer");
    let groups: Vec<serde_json::Value> =
        record.rollout_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept: usize = groups.iter().map(|group| group["trajectories"].as_array().unwrap().len()).sum();
    assert_eq!(kept + lost, 8);
    for group in &groups {
        let length = |key: &str| group[key].as_array().unwrap().len();
        assert_eq!(length("trajectories"), length("advantages"));
        for trajectory in group["trajectories"].as_array().unwrap() {
            assert_eq!(
                trajectory["played"]["task"], group["group"],
                "rewards and trajectories stay together"
            );
            assert!(group["group"].as_str().unwrap().ends_with("/1") || trajectory["correct"] == false);
        }
    }
    assert!(metrics.updates > 0, "the others are learnt from");
}

#[test]
fn a_judge_that_fails_for_most_ends_the_step_and_says_why() {
    let error = trainer(|_| true).play(0, &mut |_, _| {}).expect_err("too many are lost");
    let TrainError::Lost { lost, all: 8, .. } = error else { panic!("{error}") };
    assert!(lost > 4, "{error}");
    let text = error.to_string();
    assert!(text.contains("of 8 trajectories were lost, more than half; the first: "), "{text}");
    assert!(text.contains("no verdict\n  hint: look at it"), "{text}");
}

#[test]
fn an_evaluation_counts_what_it_lost_and_leaves_it_out() {
    let model = load_model(&model_folder("tiny"), &device().autodiff()).unwrap().valid();
    let evaluate = |fails: fn(&Task) -> bool| {
        let trainer = trainer(fails);
        let game = trainer.setup().game();
        let tasks: Vec<&Task> = game.env.held_out().iter().take(8).collect();
        let trial = Trial { game: &game, tasks: &tasks, samples: 2, rewards: &RewardConfig::default() };
        let mut policy =
            || -> Box<dyn Policy> { Box::new(ModelPolicy::on_all_cores(&model, Sampling::default(), 0)) };
        let mut kept = 0;
        let found = trial.run(&mut policy, &mut |_, _| {}, &mut |_, _, _, _| kept += 1);
        found.map(|found| (found, kept))
    };
    let (whole, all) = evaluate(|_| false).unwrap();
    assert_eq!((whole.rollouts_lost, whole.trajectories, all), (0, 16, 16));
    let (found, kept) = evaluate(|task| task.id.ends_with("/3")).unwrap();
    assert!((1..=2).contains(&found.rollouts_lost), "{}", found.rollouts_lost);
    assert_eq!((found.trajectories, kept), (16 - found.rollouts_lost, found.trajectories));
    assert!(found.outcomes.iter().all(|task| !task.samples.is_empty()));
    assert!(matches!(evaluate(|_| true), Err(TrainError::Lost { .. })));
}
