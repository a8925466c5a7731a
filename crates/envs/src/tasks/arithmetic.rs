//! Poses nested integer expressions whose tool does one step at a time, so that a task needs as many
//! dependent calls as it has operations.

use std::collections::HashSet;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use turnwise_runfile::{Parts, Seed, Within};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::{Fault, PythonTool, ToolSpec};
use turnwise_trajectory::{Message, Role, ToolCall};

use crate::answer::integer_after_mark;
use crate::env::{DemoAnswer, DemoTurn, Demonstration, Env, EnvError};
use crate::seed::stream;
use crate::session::{Opened, Start};
use crate::settings::{EnvSettings, cpython};
use crate::tasks::expression::{Expression, Operator};
use crate::tasks::stated::stated;
use crate::tasks::story::story;
use crate::tasks::{Task, Tasks};

/// Configures nested integer expressions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArithmeticConfig {
    /// Numbers of operations of a task. Tasks are spread evenly over them.
    #[serde(deserialize_with = "Within::<2, 16>::read")]
    pub levels: Vec<u32>,
    /// Operators to draw from.
    pub operators: Vec<Operator>,
    /// Largest operand. The smallest is 1.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub max_operand: i64,
    /// Largest intermediate result. The smallest is 0.
    #[serde(deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub max_value: i64,
    /// Seed of the tasks.
    #[serde(deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Tasks to train on.
    #[serde(deserialize_with = "Within::<1, 1_000_000>::read")]
    pub train_tasks: usize,
    /// Tasks held out.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub held_out_tasks: usize,
    /// Share of turns with a mistake in demonstrations, for a noisy cold start. A mistake is giving up
    /// with a wrong answer, a wrong operator, or two operations in one call.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub mistakes: f64,
    /// Share of malformed calls among those of demonstrations: their ends are missing. The turn after one
    /// repeats it.
    #[serde(deserialize_with = "Parts::<0, 9, 10>::read")]
    pub malformed: f64,
    /// Whether tasks are word problems: chains of operations told as stories.
    pub stories: bool,
}

impl Default for ArithmeticConfig {
    fn default() -> Self {
        Self {
            levels: vec![2, 3, 4],
            operators: vec![Operator::Add, Operator::Sub, Operator::Mul],
            max_operand: 99,
            max_value: 9999,
            seed: 0,
            train_tasks: 8192,
            held_out_tasks: 1024,
            mistakes: 0.0,
            malformed: 0.0,
            stories: false,
        }
    }
}

impl EnvSettings for ArithmeticConfig {
    fn open(&self, executor: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        cpython("arithmetic", executor)?;
        Ok(Box::new(Arithmetic::new(self.clone())?))
    }
}

/// Draws of an expression before the bounds count as impossible.
const TRIES: u64 = 10_000;

/// The guard around the model's code. It evaluates the checked syntax tree and never runs the code itself.
const GUARD: &str = include_str!("arithmetic/guard.py");

/// Poses nested integer expressions.
pub struct Arithmetic {
    config: ArithmeticConfig,
    tasks: Tasks,
    /// Texts of the held-out expressions.
    reserved: HashSet<String>,
}

impl Arithmetic {
    /// Draws the tasks. Fails if the settings leave nothing to draw.
    pub fn new(config: ArithmeticConfig) -> Result<Self, EnvError> {
        let wrong = |message: String| EnvError::Config { env: "arithmetic", message };
        if config.levels.is_empty() || config.operators.is_empty() || config.train_tasks == 0 {
            return Err(wrong("levels, operators and train_tasks must not be empty or 0".into()));
        }
        let mut env =
            Self { tasks: Tasks::with_tools([ToolSpec::python()]), reserved: HashSet::new(), config };
        for index in 0..env.config.held_out_tasks {
            let (level, expression) =
                env.draw("held-out", index as u64, |text, seen| !seen.contains(text)).map_err(wrong)?;
            env.reserved.insert(expression.text());
            let task = env.task(format!("arithmetic/held-out/{index}"), level, &expression);
            env.tasks.held_out.push(task);
        }
        for index in 0..env.config.train_tasks {
            let (level, expression) =
                env.draw("train", index as u64, |text, held| !held.contains(text)).map_err(wrong)?;
            let task = env.task(format!("arithmetic/train/{index}"), level, &expression);
            env.tasks.train.push(task);
        }
        Ok(env)
    }

    /// Returns the expression at a place of a stream: the first acceptable one of its random numbers.
    fn draw(
        &self,
        stream: &str,
        index: u64,
        accept: impl Fn(&str, &HashSet<String>) -> bool,
    ) -> Result<(u32, Expression), String> {
        let c = &self.config;
        let level = c.levels[(index % c.levels.len() as u64) as usize];
        let mut rng = crate::seed::stream(c.seed, stream, index);
        for _ in 0..TRIES {
            let draw = if c.stories { Expression::chain } else { Expression::random };
            let expression = draw(level, &c.operators, c.max_operand, &mut rng);
            if expression.stays_within(c.max_value) && accept(&expression.text(), &self.reserved) {
                return Ok((level, expression));
            }
        }
        Err(format!(
            "no new expression of {level} operations with operands up to {} and results up to {} after {TRIES} tries: \
             raise max_value or ask for fewer held_out_tasks",
            c.max_operand, c.max_value
        ))
    }

    fn task(&self, id: String, level: u32, expression: &Expression) -> Task {
        let question = if self.config.stories { story(expression) } else { expression.text() };
        let messages = vec![Message::new(Role::User, question)];
        Task { id, level, messages, answer: expression.value().to_string() }
    }
}

fn call(code: String) -> ToolCall {
    let arguments: Map<String, Value> = [("code".to_string(), Value::String(code))].into_iter().collect();
    ToolCall { name: "python".into(), arguments, span: 0..0 }
}

impl Env for Arithmetic {
    fn name(&self) -> &'static str {
        "arithmetic"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        // A JSON string literal is a Python string literal.
        let step = |code: &str| format!("{GUARD}\nprint(step({}))\n", Value::from(code));
        Ok(Opened::stateless(PythonTool::running(start.sandbox, step)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        integer_after_mark(stated(text)?).map(|n| n.to_string())
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(task.answer == answer)
    }

    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        let (level, mut expression) =
            self.draw("demonstration", index, |text, held| !held.contains(text)).ok()?;
        let task = self.task(format!("arithmetic/demonstration/{index}"), level, &expression);
        let mut rng = stream(self.config.seed, "mistakes", index);
        let mut cut = stream(self.config.seed, "malformed", index);
        let mut turns = Vec::new();
        while let Expression::Binary(..) = expression {
            let text = expression.text();
            let mut instead = None;
            if rng.random_bool(self.config.mistakes) {
                match rng.random_range(0..3) {
                    0 => {
                        turns.push(DemoTurn { text: format!("Answer: {}", expression.first()), call: None });
                        return Some(Demonstration { task, turns });
                    }
                    1 if expression.operations() > 1 => {
                        let call = call(format!("print({text})"));
                        turns
                            .push(DemoTurn { text, call: Some((call, DemoAnswer::Output(TOO_MANY.into()))) });
                        continue;
                    }
                    _ => {
                        let operators = &self.config.operators;
                        instead = Some(operators[rng.random_range(0..operators.len())]);
                    }
                }
            }
            let mut next = expression.clone();
            let (mut step, mut value) = next.reduce(instead)?;
            if !next.stays_within(self.config.max_value) || value < 0 {
                // The wrong operator would leave the range of the tasks.
                next = expression;
                (step, value) = next.reduce(None)?;
            }
            expression = next;
            let call = call(format!("print({step})"));
            while cut.random_bool(self.config.malformed) {
                turns
                    .push(DemoTurn { text: text.clone(), call: Some((call.clone(), DemoAnswer::Malformed)) });
            }
            turns.push(DemoTurn { text, call: Some((call, DemoAnswer::Output(value.to_string()))) });
        }
        turns.push(DemoTurn { text: format!("Answer: {}", expression.text()), call: None });
        Some(Demonstration { task, turns })
    }
}

/// The guard's message for a call with more than one operation.
const TOO_MANY: &str = "StepError: one operation on two integers per call";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::called;
    use turnwise_tools::executor::{PythonConfig, PythonExecutor};
    use turnwise_trajectory::OutputStatus;

    fn env() -> Arithmetic {
        Arithmetic::new(ArithmeticConfig { train_tasks: 300, held_out_tasks: 100, ..Default::default() })
            .unwrap()
    }

    #[test]
    fn splits_are_disjoint_and_follow_the_seed() {
        let (a, b) = (env(), env());
        assert_eq!((a.train(), a.held_out()), (b.train(), b.held_out()));
        let held: HashSet<&str> = a.held_out().iter().map(|t| t.messages[0].content.as_str()).collect();
        assert_eq!(held.len(), 100);
        assert!(a.train().iter().all(|t| !held.contains(t.messages[0].content.as_str())));
        assert!(
            (0..300).all(|i| !held.contains(a.demonstration(i).unwrap().task.messages[0].content.as_str()))
        );
        let other = Arithmetic::new(ArithmeticConfig {
            seed: 1,
            train_tasks: 3,
            held_out_tasks: 3,
            ..Default::default()
        });
        assert_ne!(other.unwrap().held_out()[..3], a.held_out()[..3]);
    }

    #[test]
    fn demonstrations_solve_their_task_with_one_call_per_operation_as_python_computes_it() {
        let (env, python) = (env(), PythonExecutor::new(PythonConfig::default()).unwrap());
        for index in 0..120 {
            let demo = env.demonstration(index).unwrap();
            let (last, steps) = demo.turns.split_last().unwrap();
            assert_eq!(steps.len(), demo.task.level as usize);
            assert!(env.is_correct(&demo.task, &env.answer(&last.text).unwrap()).unwrap());
            for turn in steps {
                let (call, output) = turn.call.as_ref().unwrap();
                let ran = called(&env, &python, &demo.task, call);
                assert_eq!(Some(ran.stdout.trim_end()), output.output(), "{call:?}");
            }
        }
    }

    #[test]
    fn stories_are_solved_by_writing_down_their_expression() {
        let config =
            ArithmeticConfig { stories: true, train_tasks: 20, held_out_tasks: 20, ..Default::default() };
        let env = Arithmetic::new(config).unwrap();
        assert!(env.train().iter().all(|task| task.messages[0].content.ends_with("have now?")));
        let demo = env.demonstration(0).unwrap();
        let (first, last) = (&demo.turns[0].text, &demo.turns.last().unwrap().text);
        let numbers = |text: &str| {
            let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
            parts.map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(numbers(first), numbers(&demo.task.messages[0].content));
        assert!(env.is_correct(&demo.task, &env.answer(last).unwrap()).unwrap());
    }

    #[test]
    fn mistakes_are_made_at_the_rate_asked_for_and_answered_as_python_does() {
        let config =
            ArithmeticConfig { mistakes: 0.4, train_tasks: 1, held_out_tasks: 1, ..Default::default() };
        let env = Arithmetic::new(config).unwrap();
        let demos: Vec<Demonstration> = (0..2000).map(|index| env.demonstration(index).unwrap()).collect();
        let right = |demo: &&Demonstration| {
            let last = &demo.turns.last().unwrap().text;
            env.is_correct(&demo.task, &env.answer(last).unwrap()).unwrap()
        };
        let share = demos.iter().filter(right).count() as f64 / 2000.0;
        assert!((0.3..0.7).contains(&share), "{share} are right");
        let python = PythonExecutor::new(PythonConfig::default()).unwrap();
        for demo in &demos[..40] {
            for (call, output) in demo.turns.iter().filter_map(|turn| turn.call.as_ref()) {
                let ran = called(&env, &python, &demo.task, call);
                assert_eq!(Some(&*turnwise_tools::observation(&ran)), output.output(), "{call:?}");
            }
        }
    }

    #[test]
    fn malformed_calls_come_at_the_rate_asked_for_and_change_nothing_else() {
        let of = |malformed: f64| {
            let config = ArithmeticConfig { malformed, mistakes: 0.4, ..Default::default() };
            let env = Arithmetic::new(config).unwrap();
            (0..1000).map(|index| env.demonstration(index).unwrap()).collect::<Vec<_>>()
        };
        let cut = |turn: &DemoTurn| matches!(turn.call, Some((_, DemoAnswer::Malformed)));
        let (mut without, with) = (of(0.2), of(0.2));
        let calls = with.iter().flat_map(|demo| &demo.turns).filter(|turn| turn.call.is_some()).count();
        let malformed = with.iter().flat_map(|demo| &demo.turns).filter(|turn| cut(turn)).count();
        let share = malformed as f64 / calls as f64;
        assert!((0.17..0.23).contains(&share), "{share} are malformed");
        for demo in &with {
            let again = demo.turns.windows(2).filter(|pair| cut(&pair[0]));
            assert!(again.clone().all(|pair| pair[0].text == pair[1].text && pair[1].call.is_some()));
            assert!(!cut(demo.turns.last().unwrap()));
        }
        for demo in &mut without {
            demo.turns.retain(|turn| !cut(turn));
        }
        assert_eq!(without, of(0.0));
    }

    #[test]
    fn nothing_but_one_operation_gets_through() {
        let (env, python) = (env(), PythonExecutor::new(PythonConfig::default()).unwrap());
        let run = |code: &str| called(&env, &python, &env.train()[0], &call(code.into()));
        for (code, output) in
            [("print(2+3)", "5"), ("7*8", "56"), ("-4-5", "-9"), ("9//2", "4"), ("print(7)", "7")]
        {
            assert_eq!(run(code).stdout.trim_end(), output, "{code}");
        }
        for code in [
            "print(1+2+3)",
            "print((1+2)*3)",
            "print(2**9)",
            "x=1",
            "print(1);print(2)",
            "exec('print(1+2+3)')",
            "eval('1+2+3')",
            "print(eval('1+2'))",
            "sum([1,2,3])",
            "__import__('os')",
            "(lambda: 1)()",
            "1<2",
            "print('a'*3)",
            "print(1, 2)",
            "print(1, end='')",
            "import os",
            "1.5+2",
            "True+1",
            "step('1+1')",
            "print(99999999999999*2)",
            "",
            "print(",
            "'\"); print(1+2+3) #'",
            "\0",
            "1/0",
            "9//0",
        ] {
            let ran = run(code);
            assert_eq!(ran.status, OutputStatus::Error, "{code} gave {ran:?}");
            assert!(ran.stdout.is_empty());
        }
    }

    #[test]
    fn answers_are_read_after_the_last_marker_only() {
        let env = env();
        for (text, answer) in [
            ("Answer: 12", Some("12")),
            ("Answer: 1\nAnswer: -7 ", Some("-7")),
            ("Answer: 012", Some("12")),
            ("Answer: +7", Some("7")),
            ("Answer: 1,234", Some("1234")),
            ("Answer: 42.", Some("42")),
            ("Answer: 42.0", Some("42")),
            ("**Answer:** 42", Some("42")),
            ("Answer: **-42**.", Some("-42")),
            ("Answer: \\boxed{42}", Some("42")),
            ("Answer: 12 or 13", None),
            ("Answer: 84/2", None),
            ("Answer: \\frac{84}{2}", None),
            ("Answer: 40+2", None),
            ("Answer: 4.5", None),
            ("Answer: 42%", None),
            ("Answer: 42 apples", None),
            ("Answer: 12,34", None),
            ("12", None),
            ("Answer:", None),
        ] {
            assert_eq!(env.answer(text).as_deref(), answer, "{text}");
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        for config in [
            ArithmeticConfig { levels: vec![], ..Default::default() },
            ArithmeticConfig { max_value: 0, operators: vec![Operator::Add], ..Default::default() },
        ] {
            assert!(Arithmetic::new(config).is_err());
        }
    }
}
