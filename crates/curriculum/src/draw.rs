//! Draws the tasks of a run, and holds the part of that which a checkpoint needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::CurriculumConfig;
use crate::attempts::{Attempts, Outcome, Shares};
use crate::uniform;

/// Holds the part of a draw that doesn't follow from the run file and the step.
///
/// Its size is bounded: at most one entry per task of the environment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrawState {
    /// Groups replaced so far. Each of them took the next task of the order.
    pub replaced: usize,
    /// Recent attempts by the number of the task, for a curriculum that reads them.
    pub attempts: BTreeMap<usize, Attempts>,
}

impl DrawState {
    /// Returns what no run can have counted; none if the state may be one's.
    pub fn damage(&self) -> Option<String> {
        if self.replaced > MOST_REPLACED {
            return Some(format!("`replaced` is {}, expected at most {MOST_REPLACED}", self.replaced));
        }
        let wrong = self.attempts.iter().find(|(_, attempts)| !attempts.could_be());
        wrong.map(|(task, Attempts { right, played })| {
            format!("`attempts` at {task} are {right} right ones of {played}, expected 0 ≤ right ≤ played")
        })
    }
}

/// Groups that any run replaces at most: beyond it positions in the order of tasks could overflow.
const MOST_REPLACED: usize = 1 << 48;

/// Draws the tasks of a run.
#[derive(Debug, Clone)]
pub struct TaskDraw {
    curriculum: CurriculumConfig,
    seed: u64,
    tasks: usize,
    state: DrawState,
}

impl TaskDraw {
    /// Returns the draw of a run that begins. `tasks`: their number in the environment.
    pub fn new(curriculum: CurriculumConfig, seed: u64, tasks: usize) -> Self {
        Self { curriculum, seed, tasks, state: DrawState::default() }
    }

    /// Goes on from the state of a checkpoint. Attempts at tasks that don't exist any more are left out.
    pub fn resume(&mut self, mut state: DrawState) {
        let (reads, tasks) = (self.reads_outcomes(), self.tasks);
        state.attempts.retain(|task, _| reads && *task < tasks);
        self.state = state;
    }

    /// Returns the endless row of tasks of a step, whose first `groups` it plays.
    ///
    /// # Panics
    /// If there are no tasks.
    pub fn of_step(&self, step: usize, groups: usize) -> Box<dyn Iterator<Item = usize> + '_> {
        assert!(self.tasks > 0, "an environment to train on has tasks");
        let DrawState { replaced, attempts } = &self.state;
        match &self.curriculum {
            CurriculumConfig::Uniform(_) => {
                Box::new(uniform::row(self.seed, self.tasks, step * groups + replaced))
            }
            CurriculumConfig::Success(success) => {
                Box::new(success.row(attempts, self.seed, step, self.tasks))
            }
        }
    }

    /// Takes in the groups that a step played. `groups`: all of them, replaced ones first; `replaced`: their
    /// number.
    pub fn learn(&mut self, groups: impl IntoIterator<Item = Outcome>, replaced: usize) {
        self.state.replaced += replaced;
        let CurriculumConfig::Success(success) = &self.curriculum else { return };
        for outcome in groups {
            if let Some(task) = outcome.task.filter(|task| *task < self.tasks && outcome.played > 0) {
                let attempts = self.state.attempts.entry(task).or_default();
                *attempts = attempts.and(outcome, success.discount);
            }
        }
    }

    /// Returns whether the draw depends on how groups ended.
    pub fn reads_outcomes(&self) -> bool {
        matches!(self.curriculum, CurriculumConfig::Success(_))
    }

    /// Returns the state that a checkpoint has to hold; none where the run file and the step suffice.
    pub fn state(&self) -> Option<&DrawState> {
        (self.state != DrawState::default()).then_some(&self.state)
    }

    /// Returns the states of all tasks, for a curriculum that reads outcomes. Without tasks there are none.
    pub fn shares(&self) -> Option<Shares> {
        (self.reads_outcomes() && self.tasks > 0).then(|| Shares::of(&self.state.attempts, self.tasks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(name: &str, tasks: usize) -> TaskDraw {
        TaskDraw::new(CurriculumConfig::named(name).expect("a name"), 11, tasks)
    }

    fn first(draw: &TaskDraw, step: usize, number: usize) -> Vec<usize> {
        draw.of_step(step, 4).take(number).collect()
    }

    #[test]
    fn replaced_groups_move_the_order_on_and_no_task_is_skipped() {
        let mut draw = draw("uniform", 10);
        let whole: Vec<usize> = uniform::row(11, 10, 0).take(40).collect();
        let mut position = 0;
        for (step, replaced) in [0, 3, 1, 0, 9].into_iter().enumerate() {
            let took = 4 + replaced;
            assert_eq!(first(&draw, step, took), whole[position..position + took], "step {step}");
            draw.learn([], replaced);
            position += took;
        }
        assert_eq!(draw.state().map(|state| state.replaced), Some(13));
    }

    #[test]
    fn a_state_that_no_run_can_have_counted_is_told() {
        let check = |text: &str, expect: Option<&str>| {
            let state: DrawState = serde_json::from_str(text).expect(text);
            let damage = state.damage();
            assert_eq!(damage.as_deref(), expect, "{text}");
        };
        check("{}", None);
        check(
            r#"{"replaced":7,"attempts":{"3":{"right":1.5,"played":1.5},"4":{"right":0,"played":0}}}"#,
            None,
        );
        let most = "`replaced` is 18446744073709551615, expected at most 281474976710656";
        check(r#"{"replaced":18446744073709551615}"#, Some(most));
        for (right, played) in [("-1", "2"), ("3", "2"), ("-2", "-2"), ("1e300", "1e308")] {
            let text = format!(r#"{{"attempts":{{"3":{{"right":{right},"played":{played}}}}}}}"#);
            let state: DrawState = serde_json::from_str(&text).expect("numbers");
            assert!(state.damage().expect(&text).starts_with("`attempts` at 3 are "), "{text}");
        }
    }

    /// Tasks have a fixed probability of success each. The curriculum has to find those near one half.
    #[test]
    fn the_draw_turns_to_tasks_near_one_half_and_starves_none() {
        let mut draw = draw("success", 60);
        // A third is never right, a third always, a third half of the time.
        let right = |task: usize, step: usize| match task % 3 {
            0 => 0,
            1 => 8,
            _ => 3 + (task + step) % 3,
        };
        let (mut late, mut last_seen) = ([0_usize; 3], vec![0_usize; 60]);
        for step in 0..600 {
            let tasks = first(&draw, step, 4);
            for &task in &tasks {
                last_seen[task] = step;
                late[task % 3] += usize::from(step >= 100);
            }
            draw.learn(tasks.iter().map(|&t| Outcome { task: Some(t), right: right(t, step), played: 8 }), 0);
        }
        let share = late[2] as f64 / late.iter().sum::<usize>() as f64;
        // Weights of about 0.35 to 0.42 beside 1: (1 / (1 + 2 · 0.4)) of the draws, against a third.
        assert!((0.48..0.7).contains(&share), "{share} of the draws are learnable: {late:?}");
        assert!(last_seen.iter().all(|&step| step > 400), "{last_seen:?}");
        let shares = draw.shares().expect("by success");
        let third = |share: f64| (share - 1.0 / 3.0).abs() < 1e-12;
        assert!(third(shares.hard) && third(shares.learnable) && third(shares.easy), "{shares:?}");
        assert_eq!(shares.unseen, 0.0);
    }

    #[test]
    fn a_draw_that_goes_on_from_its_state_is_the_same_draw() {
        for name in CurriculumConfig::NAMES {
            let mut whole = draw(name, 9);
            let mut halves = whole.clone();
            for step in 0..20 {
                let tasks = first(&whole, step, 6);
                assert_eq!(tasks, first(&halves, step, 6), "{name}, step {step}");
                let outcome = |&task: &usize| Outcome { task: Some(task), right: task % 4, played: 3 };
                whole.learn(tasks.iter().map(outcome), 2);
                // The next process has the checkpoint's state only.
                let text = serde_json::to_string(&whole.state()).unwrap();
                halves = draw(name, 9);
                halves.resume(serde_json::from_str::<Option<DrawState>>(&text).unwrap().unwrap_or_default());
                assert_eq!(halves.state(), whole.state(), "{name}, step {step}");
            }
        }
    }

    #[test]
    fn a_uniform_draw_without_replacements_needs_no_state() {
        let mut plain = draw("uniform", 5);
        plain.learn([Outcome { task: Some(1), right: 1, played: 8 }], 0);
        assert_eq!((plain.state(), plain.shares()), (None, None));
        let mut fewer = draw("success", 3);
        let attempts = Attempts { right: 1.0, played: 2.0 };
        fewer.resume(DrawState { replaced: 4, attempts: BTreeMap::from([(2, attempts), (3, attempts)]) });
        let state = fewer.state().expect("a state");
        assert_eq!((state.replaced, state.attempts.len()), (4, 1), "task 3 is gone");
    }

    #[test]
    fn lost_groups_and_unknown_tasks_say_nothing() {
        let mut draw = draw("success", 3);
        let outcome = |task, played| Outcome { task, right: 0, played };
        draw.learn([outcome(Some(0), 0), outcome(None, 8), outcome(Some(3), 8)], 0);
        assert_eq!(draw.state(), None);
    }
}
