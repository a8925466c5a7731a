//! Poses program synthesis: write a function to a specification, try it on examples, read the failure,
//! repair. In some tasks the specification leaves out a constant, which only a failing example reveals. An
//! answer is right if the last program that was tried passes hidden tests.

mod pipeline;

use std::collections::{HashMap, HashSet};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_runfile::{Seed, Within};
use turnwise_tools::executor::{ExecutorConfig, PythonConfig};
use turnwise_tools::{Fault, PythonTool, ToolSpec};
use turnwise_trajectory::{Message, Role, ToolCall, Trajectory};

use crate::env::{DemoAnswer, DemoTurn, Demonstration, Env, EnvError};
use crate::judge::{Exam, Judge, ended, examples_program, last_program};
use crate::seed::stream;
use crate::session::{Opened, Start};
use crate::settings::{EnvSettings, cpython};
use crate::tasks::{Task, Tasks};
use pipeline::Pipeline;

/// Configures procedural functions to write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramsConfig {
    /// Numbers of steps of a function. Tasks are spread evenly over them.
    #[serde(deserialize_with = "Within::<1, 8>::read")]
    pub levels: Vec<u32>,
    /// Share of tasks that show one constant as `?`. The examples tell it.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub unknown: f64,
    /// Share of demonstrations that end with a wrong program, for a noisy cold start.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub mistakes: f64,
    /// Seed of the tasks.
    #[serde(deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Tasks to train on.
    #[serde(deserialize_with = "Within::<1, 1_000_000>::read")]
    pub train_tasks: usize,
    /// Tasks held out.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub held_out_tasks: usize,
}

impl Default for ProgramsConfig {
    fn default() -> Self {
        Self {
            levels: vec![2, 3, 4],
            unknown: 0.5,
            mistakes: 0.0,
            seed: 0,
            train_tasks: 4096,
            held_out_tasks: 512,
        }
    }
}

impl EnvSettings for ProgramsConfig {
    fn open(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Programs::new(self.clone(), cpython("programs", executor)?)?))
    }
}

/// Numbers of examples that the tool shows, and of hidden tests.
const VISIBLE: usize = 2;
const HIDDEN: usize = 8;
/// Draws of a function before the settings count as impossible.
const TRIES: u64 = 10_000;
/// The constant that demonstrations try first if the task tells none.
const FIRST_GUESS: i64 = 1;

/// A function with the inputs that it is tried on. The visible ones come first.
#[derive(Clone)]
struct Problem {
    pipeline: Pipeline,
    inputs: Vec<Vec<i64>>,
}

/// Poses functions to write to a specification.
pub struct Programs {
    config: ProgramsConfig,
    judge: Judge,
    tasks: Tasks,
    /// Problems by task.
    problems: HashMap<String, Problem>,
    /// Programs of the held-out tasks.
    reserved: HashSet<String>,
}

impl Programs {
    /// Draws the tasks and starts the sandbox that judges programs.
    pub fn new(config: ProgramsConfig, python: &PythonConfig) -> Result<Self, EnvError> {
        let wrong = |message: String| EnvError::Config { env: "programs", message };
        if config.levels.is_empty() || config.train_tasks == 0 {
            return Err(wrong("levels and train_tasks must not be empty or 0".into()));
        }
        let mut env = Self {
            judge: Judge::open("programs", python)?,
            tasks: Tasks::with_tools([ToolSpec::python()]),
            problems: HashMap::new(),
            reserved: HashSet::new(),
            config,
        };
        for index in 0..env.config.held_out_tasks {
            let (task, problem) = env.draw("held-out", index as u64).map_err(wrong)?;
            env.reserved.insert(problem.pipeline.python());
            env.problems.insert(task.id.clone(), problem);
            env.tasks.held_out.push(task);
        }
        for index in 0..env.config.train_tasks {
            let (task, problem) = env.draw("train", index as u64).map_err(wrong)?;
            env.problems.insert(task.id.clone(), problem);
            env.tasks.train.push(task);
        }
        Ok(env)
    }

    /// Returns the problem at a place of a stream: the first of its random numbers that is fair and isn't
    /// held out.
    fn draw(&self, name: &str, index: u64) -> Result<(Task, Problem), String> {
        let level = self.config.levels[(index % self.config.levels.len() as u64) as usize];
        let mut rng = stream(self.config.seed, name, index);
        let hide = rng.random_bool(self.config.unknown);
        for _ in 0..TRIES {
            let Some(pipeline) = Pipeline::draw(level, hide, &mut rng) else { continue };
            let problem =
                Problem { pipeline, inputs: (0..VISIBLE + HIDDEN).map(|_| input(&mut rng)).collect() };
            if problem.is_fair() && !self.reserved.contains(&problem.pipeline.python()) {
                let messages = vec![Message::new(Role::User, problem.pipeline.text())];
                let answer = problem.pipeline.python();
                return Ok((
                    Task { id: format!("programs/{name}/{index}"), level, messages, answer },
                    problem,
                ));
            }
        }
        Err(format!(
            "no new function of {level} steps after {TRIES} tries: raise levels or ask for fewer held_out_tasks"
        ))
    }

    /// Returns the problem of a task, those of demonstrations included.
    fn problem(&self, task: &Task) -> Problem {
        if let Some(problem) = self.problems.get(&task.id) {
            return problem.clone();
        }
        let index = task.id.strip_prefix("programs/demonstration/").and_then(|index| index.parse().ok());
        let index = index.unwrap_or_else(|| panic!("{}: a task of another environment", task.id));
        self.draw("demonstration", index).expect("the demonstration was drawn before").1
    }
}

fn input(rng: &mut impl Rng) -> Vec<i64> {
    (0..rng.random_range(1..=4)).map(|_| rng.random_range(0..=9)).collect()
}

impl Problem {
    /// Returns whether the results differ enough that no constant function passes, and whether the visible
    /// examples alone distinguish every other constant from the hidden one.
    fn is_fair(&self) -> bool {
        let results: HashSet<String> =
            self.inputs.iter().map(|x| self.pipeline.apply(x).to_string()).collect();
        let told = |other: i64| {
            let guess = self.pipeline.guess(other);
            self.inputs[..VISIBLE].iter().any(|x| guess.apply(x) != self.pipeline.apply(x))
        };
        let unknown = self.pipeline.unknown_constant();
        2 * results.len() > self.inputs.len() && unknown.is_none_or(|c| (1..=9).all(|o| o == c || told(o)))
    }

    fn examples(&self) -> Vec<(String, String)> {
        let visible = &self.inputs[..VISIBLE];
        visible.iter().map(|x| (format!("f({x:?})"), self.pipeline.apply(x).to_string())).collect()
    }

    fn exam(&self) -> Exam {
        let mut tests = vec!["def check(candidate):".to_string()];
        let assert = |x: &Vec<i64>| format!("    assert candidate({x:?}) == {}", self.pipeline.apply(x));
        tests.extend(self.inputs.iter().map(assert));
        Exam { context: String::new(), entry: "f".into(), tests: tests.join("\n"), names: Vec::new() }
    }

    /// Returns the tool's output for a function, as `judge/examples.py` does.
    fn feedback(&self, attempt: &Pipeline) -> String {
        let failing = self.inputs[..VISIBLE].iter().find(|x| attempt.apply(x) != self.pipeline.apply(x));
        failing.map_or(format!("all {VISIBLE} examples pass"), |x| {
            format!("f({x:?}) gave {}, want {}", attempt.apply(x), self.pipeline.apply(x))
        })
    }

    fn attempt(&self, text: String, attempt: &Pipeline) -> DemoTurn {
        let arguments: Map<String, Value> =
            [("code".to_string(), attempt.python().into())].into_iter().collect();
        let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
        DemoTurn { text, call: Some((call, DemoAnswer::Output(self.feedback(attempt)))) }
    }
}

impl Env for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let examples = self.problem(start.task).examples();
        let program = move |code: &str| examples_program("", code, &examples);
        Ok(Opened::stateless(PythonTool::running(start.sandbox, program)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        ended(text)
    }

    fn final_answer(&self, played: &Trajectory) -> Option<String> {
        last_program(played)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        self.judge.passes(&task.id, answer, &self.problem(task).exam())
    }

    /// Programs aren't compared by what they compute.
    fn vote(&self, _: &Task, _: &str) -> Option<String> {
        None
    }

    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        let (task, problem) = self.draw("demonstration", index).ok()?;
        let mut rng = stream(self.config.seed, "mistakes", index);
        let wrong = rng.random_bool(self.config.mistakes);
        let mut turns = Vec::new();
        let first = problem.pipeline.guess(FIRST_GUESS);
        if first != problem.pipeline {
            turns.push(problem.attempt("try 1".into(), &first));
        }
        if !wrong {
            let text = problem.pipeline.unknown_constant().map_or("try".into(), |c| format!("? is {c}"));
            turns.push(problem.attempt(text, &problem.pipeline));
        } else if turns.is_empty() {
            let step = rng.random_range(0..problem.pipeline.len());
            let attempt = if problem.pipeline.len() > 1 { problem.pipeline.without(step) } else { first };
            turns.push(problem.attempt("try".into(), &attempt));
        }
        turns.push(DemoTurn { text: "Answer: done".into(), call: None });
        Some(Demonstration { task, turns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::called;

    fn env(mistakes: f64) -> Programs {
        let config = ProgramsConfig { train_tasks: 60, held_out_tasks: 60, mistakes, ..Default::default() };
        Programs::new(config, &PythonConfig::default()).unwrap()
    }

    #[test]
    fn splits_are_disjoint_and_follow_the_seed() {
        let (a, b) = (env(0.0), env(0.0));
        assert_eq!((a.train(), a.held_out()), (b.train(), b.held_out()));
        let held: HashSet<&str> = a.held_out().iter().map(|task| task.answer.as_str()).collect();
        assert_eq!(held.len(), 60);
        assert!(a.train().iter().all(|task| !held.contains(task.answer.as_str())));
        assert!((0..60).all(|i| !held.contains(a.demonstration(i).unwrap().task.answer.as_str())));
    }

    #[test]
    fn demonstrations_say_what_the_tool_says_and_pass_the_hidden_tests() {
        let (env, python) = (env(0.0), ExecutorConfig::default().build().unwrap());
        let mut repaired = 0;
        for index in 0..24 {
            let demonstration = env.demonstration(index).unwrap();
            let calls: Vec<&(ToolCall, DemoAnswer)> =
                demonstration.turns.iter().filter_map(|turn| turn.call.as_ref()).collect();
            repaired += usize::from(calls.len() == 2);
            for (call, output) in &calls {
                let said = called(&env, &*python, &demonstration.task, call);
                assert_eq!(Some(said.stdout.trim_end()), output.output());
            }
            let code = calls.last().unwrap().0.arguments["code"].as_str().unwrap();
            assert!(env.is_correct(&demonstration.task, code).unwrap(), "{code}");
        }
        assert!((6..=18).contains(&repaired), "{repaired} of 24 leave out a constant");
    }

    #[test]
    fn demonstrations_with_mistakes_end_with_a_wrong_program() {
        let env = env(1.0);
        let wrong = (0..24).filter(|&index| {
            let demonstration = env.demonstration(index).unwrap();
            let last = demonstration.turns.iter().rev().find_map(|turn| turn.call.as_ref()).unwrap();
            !env.is_correct(&demonstration.task, last.0.arguments["code"].as_str().unwrap()).unwrap()
        });
        // Leaving out a step, such as sorting before a sum, may change nothing.
        assert!(wrong.count() >= 20);
    }

    #[test]
    fn knowing_the_visible_examples_is_not_enough() {
        let env = env(0.0);
        for task in &env.train()[..10] {
            let table: Vec<String> = env.problem(task).inputs[..VISIBLE]
                .iter()
                .map(|x| format!("    if x == {x:?}: return {}", env.problem(task).pipeline.apply(x)))
                .collect();
            assert!(!env.is_correct(task, &format!("def f(x):\n{}", table.join("\n"))).unwrap());
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        for config in [
            ProgramsConfig { levels: vec![], ..Default::default() },
            ProgramsConfig { levels: vec![1], held_out_tasks: 1000, ..Default::default() },
            ProgramsConfig { train_tasks: 0, ..Default::default() },
        ] {
            assert!(Programs::new(config, &PythonConfig::default()).is_err());
        }
    }
}
