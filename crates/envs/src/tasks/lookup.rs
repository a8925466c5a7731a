//! Poses questions over several hops of a fact table that only a lookup tool can see. A call gives one fact,
//! so a question of level n needs n calls, and each in a chain depends on the one before. Every task has its
//! own table, so no fact can be memorised.

mod question;
mod world;

use std::collections::HashSet;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use turnwise_runfile::{Seed, Within};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::tool::text;
use turnwise_tools::{Arguments, Fault, FunctionTool, ToolSpec};
use turnwise_trajectory::{Message, OutputStatus, Role, ToolCall, ToolOutput};

use crate::env::{DemoAnswer, DemoTurn, Demonstration, Env, EnvError};
use crate::seed::stream;
use crate::session::{Opened, Start};
use crate::settings::EnvSettings;
use crate::tasks::one_word::one_word;
use crate::tasks::{Task, Tasks};
use question::Query;
pub use question::Question;
use world::{AGE, TIES, World};

/// Configures procedural questions over several facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LookupConfig {
    /// Numbers of lookups that a task needs. Tasks are spread evenly over them.
    #[serde(deserialize_with = "Within::<2, 8>::read")]
    pub levels: Vec<u32>,
    /// Kinds of questions. Tasks alternate between them.
    pub questions: Vec<Question>,
    /// Seed of the tasks and their tables.
    #[serde(deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Tasks to train on.
    #[serde(deserialize_with = "Within::<1, 1_000_000>::read")]
    pub train_tasks: usize,
    /// Tasks held out.
    #[serde(deserialize_with = "Within::<0, 1_000_000>::read")]
    pub held_out_tasks: usize,
    /// Share of turns with a mistake in demonstrations, for a noisy cold start. A mistake is giving up
    /// with a guess, a wrong fact, or several lookups in one call.
    #[serde(deserialize_with = "Within::<0, 1>::read")]
    pub mistakes: f64,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            levels: vec![2, 3, 4],
            questions: vec![Question::Who, Question::Older],
            seed: 0,
            train_tasks: 8192,
            held_out_tasks: 1024,
            mistakes: 0.0,
        }
    }
}

impl EnvSettings for LookupConfig {
    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Lookup::new(self.clone())?))
    }
}

/// Draws of a question before the settings count as exhausted.
const TRIES: u64 = 10_000;

/// Poses questions over several hops of a fact table.
pub struct Lookup {
    config: LookupConfig,
    tasks: Tasks,
    /// Texts of the held-out questions.
    reserved: HashSet<String>,
}

impl Lookup {
    /// Draws the tasks. Fails if the settings leave nothing to draw.
    pub fn new(config: LookupConfig) -> Result<Self, EnvError> {
        let wrong = |message: String| EnvError::Config { env: "lookup", message };
        if config.levels.is_empty() || config.questions.is_empty() || config.train_tasks == 0 {
            return Err(wrong("levels, questions and train_tasks must not be empty or 0".into()));
        }
        let mut env = Self { config, tasks: Tasks::with_tools([tool()]), reserved: HashSet::new() };
        for index in 0..env.config.held_out_tasks {
            let (task, _) = env.draw("held-out", index as u64).map_err(wrong)?;
            env.reserved.insert(task.messages[0].content.clone());
            env.tasks.held_out.push(task);
        }
        for index in 0..env.config.train_tasks {
            let (task, _) = env.draw("train", index as u64).map_err(wrong)?;
            env.tasks.train.push(task);
        }
        Ok(env)
    }

    /// Returns the task at a place of a stream and its question, which isn't held out.
    fn draw(&self, split: &str, index: u64) -> Result<(Task, Query), String> {
        let (levels, kinds) = (&self.config.levels, &self.config.questions);
        let level = levels[(index % levels.len() as u64) as usize];
        let kind = kinds[(index / levels.len() as u64 % kinds.len() as u64) as usize];
        let id = format!("lookup/{split}/{index}");
        let world = World::new(self.config.seed, &id);
        let mut rng = world::numbers(self.config.seed, "question", &id);
        for _ in 0..TRIES {
            let query = Query::random(kind, level, &mut rng);
            let text = query.text();
            if let Some(answer) = query.answer(&world).filter(|_| !self.reserved.contains(&text)) {
                let messages = vec![Message::new(Role::User, text)];
                return Ok((Task { id, level, messages, answer }, query));
            }
        }
        Err(format!("no new question of {level} lookups after {TRIES} tries: ask for fewer held_out_tasks"))
    }
}

fn tool() -> ToolSpec {
    let text = |description: &str| json!({"type": "string", "description": description});
    ToolSpec::new(
        "lookup",
        "Returns one fact about a person: who someone's friend, boss, teacher, doctor or coach is, or someone's age.",
        json!({
            "type": "object",
            "properties": {
                "person": text("A person's name."),
                "fact": text("One of friend, boss, teacher, doctor, coach, age."),
            },
            "required": ["person", "fact"],
        }),
    )
}

impl Env for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        let world = World::new(self.config.seed, &start.task.id);
        let lookup = move |arguments: &Arguments| match world
            .fact(text(arguments, "person"), text(arguments, "fact"))
        {
            Ok(fact) => ToolOutput::says(fact),
            Err(line) => ToolOutput::fails(OutputStatus::Error, line),
        };
        Ok(Opened::stateless(FunctionTool::new(&self.tasks.tools[0], lookup)))
    }

    fn answer(&self, text: &str) -> Option<String> {
        one_word(text)
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(task.answer.to_lowercase() == answer)
    }

    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        let (task, mut query) = self.draw("demonstration", index).ok()?;
        let world = World::new(self.config.seed, &task.id);
        let mut rng = stream(self.config.seed, "mistakes", index);
        let mut turns = Vec::new();
        loop {
            let text = query.rest();
            let mut instead = None;
            if rng.random_bool(self.config.mistakes) {
                match rng.random_range(0..3) {
                    0 => {
                        turns.push(DemoTurn { text: format!("Answer: {}", query.guess()), call: None });
                        return Some(Demonstration { task, turns });
                    }
                    // The rest of a chain names no person. A text that isn't a chain is looked up correctly.
                    1 if text.starts_with("the ") => {
                        let said = observed(&world, &text, AGE);
                        turns.push(DemoTurn {
                            text,
                            call: Some((call(&query.rest(), AGE), DemoAnswer::Output(said))),
                        });
                        continue;
                    }
                    _ => instead = Some(rng.random_range(0..TIES.len())),
                }
            }
            let Some((person, fact, value)) = query.reduce(&world, instead) else { break };
            turns.push(DemoTurn { text, call: Some((call(person, fact), DemoAnswer::Output(value))) });
        }
        turns.push(DemoTurn { text: format!("Answer: {}", query.outcome()), call: None });
        Some(Demonstration { task, turns })
    }
}

/// Returns what the policy sees of a lookup.
fn observed(world: &World, person: &str, fact: &str) -> String {
    world.fact(person, fact).unwrap_or_else(|line| line)
}

fn call(person: &str, fact: &str) -> ToolCall {
    let arguments: Map<String, Value> = [("person", person), ("fact", fact)]
        .map(|(key, value)| (key.to_string(), value.into()))
        .into_iter()
        .collect();
    ToolCall { name: "lookup".into(), arguments, span: 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::called;
    use turnwise_tools::executor::Scripted;
    use turnwise_tools::{check_calls, observation};

    fn env() -> Lookup {
        Lookup::new(LookupConfig { train_tasks: 600, held_out_tasks: 300, ..Default::default() }).unwrap()
    }

    fn respond(env: &Lookup, task: &Task, call: &ToolCall) -> String {
        observation(&called(env, &Scripted::new(), task, call))
    }

    #[test]
    fn demonstrations_solve_their_task_with_one_valid_call_per_lookup() {
        let env = env();
        for index in 0..300 {
            let demo = env.demonstration(index).unwrap();
            let (last, steps) = demo.turns.split_last().unwrap();
            assert_eq!(steps.len(), demo.task.level as usize);
            for turn in steps {
                let (call, output) = turn.call.as_ref().unwrap();
                assert!(check_calls(vec![Ok(call.clone())], env.tools())[0].is_ok());
                assert_eq!(Some(&*respond(&env, &demo.task, call)), output.output());
            }
            assert!(env.is_correct(&demo.task, &env.answer(&last.text).unwrap()).unwrap());
        }
    }

    #[test]
    fn mistakes_are_made_at_the_rate_asked_for_and_answered_as_the_tool_does() {
        let config = LookupConfig { mistakes: 0.4, train_tasks: 1, held_out_tasks: 1, ..Default::default() };
        let env = Lookup::new(config).unwrap();
        let (mut right, mut failed) = (0, 0);
        for index in 0..1000 {
            let demo = env.demonstration(index).unwrap();
            for (call, output) in demo.turns.iter().filter_map(|turn| turn.call.as_ref()) {
                let said = respond(&env, &demo.task, call);
                assert_eq!(Some(&*said), output.output());
                failed += usize::from(said.starts_with("LookupError"));
            }
            let answer = env.answer(&demo.turns.last().unwrap().text).unwrap();
            right += usize::from(env.is_correct(&demo.task, &answer).unwrap());
        }
        assert!((250..650).contains(&right), "{right} of 1000 are right");
        assert!(failed > 100, "{failed} calls fail");
    }

    #[test]
    fn splits_are_disjoint_and_follow_the_seed() {
        let (a, b) = (env(), env());
        assert_eq!((a.train(), a.held_out()), (b.train(), b.held_out()));
        let question = |task: &Task| task.messages[0].content.clone();
        let held: HashSet<String> = a.held_out().iter().map(question).collect();
        assert_eq!(held.len(), 300, "held-out questions are all different");
        assert!(a.train().iter().all(|task| !held.contains(&question(task))));
        assert!((0..300).all(|i| !held.contains(&question(&a.demonstration(i).unwrap().task))));
        let other =
            Lookup::new(LookupConfig { seed: 1, train_tasks: 9, held_out_tasks: 9, ..Default::default() });
        assert_ne!(other.unwrap().held_out(), &a.held_out()[..9]);
    }

    #[test]
    fn the_same_question_has_another_answer_in_another_table() {
        let env = env();
        let call = call("Ann", "boss");
        let answers: HashSet<String> =
            env.train()[..60].iter().map(|task| respond(&env, task, &call)).collect();
        assert!(answers.len() > 10, "{answers:?}");
    }

    #[test]
    fn yes_and_no_are_about_as_frequent() {
        let env =
            Lookup::new(LookupConfig { questions: vec![Question::Older], ..Default::default() }).unwrap();
        let yes = env.train().iter().filter(|task| task.answer == "yes").count() as f64;
        assert!((0.46..0.54).contains(&(yes / env.train().len() as f64)), "{yes} of {}", env.train().len());
    }

    #[test]
    fn a_call_that_names_nothing_known_is_an_error_with_a_line() {
        let env = env();
        for (person, fact, expect) in [
            ("Nobody", "boss", "no person \"Nobody\""),
            ("the boss of Ann", "friend", "no person"),
            ("Ann", "boss of boss", "no fact \"boss of boss\""),
            ("", "", "no person \"\""),
        ] {
            let text = respond(&env, &env.train()[0], &call(person, fact));
            assert!(text.contains(expect), "{text}");
        }
    }

    #[test]
    fn settings_that_leave_nothing_are_refused() {
        for (config, expect) in [
            (LookupConfig { levels: vec![], ..Default::default() }, "levels, questions and train_tasks"),
            (LookupConfig { questions: vec![], ..Default::default() }, "levels, questions and train_tasks"),
            (
                LookupConfig {
                    levels: vec![2],
                    questions: vec![Question::Who],
                    held_out_tasks: 2000,
                    ..Default::default()
                },
                "ask for fewer held_out_tasks",
            ),
        ] {
            let error = Lookup::new(config).err().unwrap().to_string();
            assert!(error.starts_with("env.lookup: ") && error.contains(expect), "{error}");
        }
    }
}
