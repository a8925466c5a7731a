//! A template for a new environment: counting letters, with Python as the tool.
//!
//! To make it one that run files can choose, move the file to `crates/envs/src/tasks/letters.rs` and write
//! `crate::env::` for `turnwise_envs::`. Give it settings that implement `EnvSettings` (see `arithmetic.rs`),
//! and add `pub(crate) mod letters;` to `tasks.rs` and a line to the list in `config.rs`.

use turnwise_envs::{DemoAnswer, DemoTurn, Demonstration, Env, EnvError, Opened, Start, Task, Tasks};
use turnwise_tools::{Fault, PythonTool, ToolSpec};
use turnwise_trajectory::{Message, Role, ToolCall};

const WORDS: [&str; 6] = ["tomato", "letter", "attention", "turn", "trajectory", "reward"];

/// Tasks are drawn once, when the environment opens. The id of a task must be the same in every run.
struct Letters {
    tasks: Tasks,
}

impl Letters {
    fn new() -> Self {
        let tasks: Vec<Task> = WORDS.iter().map(|word| task(word)).collect();
        let (train, held_out) = tasks.split_at(4);
        let tools = vec![ToolSpec::python()];
        Self { tasks: Tasks { train: train.to_vec(), held_out: held_out.to_vec(), tools } }
    }
}

fn task(word: &str) -> Task {
    let count = word.matches('t').count();
    let question = format!("How many t are in {word}?");
    Task {
        id: format!("letters/{word}"),
        level: word.len() as u32,
        messages: vec![Message::new(Role::User, question)],
        answer: count.to_string(),
    }
}

impl Env for Letters {
    fn name(&self) -> &'static str {
        "letters"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Opens the state of one trajectory. This one holds none: the sandbox runs the code of its calls. A tool
    /// that needs no Python is a `FunctionTool`. The session itself answers calls that no tool here answers,
    /// in `Session::step`, where it may also give rewards, send a user's message or end the trajectory.
    fn session<'a>(&'a self, start: Start<'a>) -> Result<Opened<'a>, Fault> {
        Ok(Opened::stateless(PythonTool::new(start.sandbox)))
    }

    /// Finds the answer in the text of the last turn.
    fn answer(&self, text: &str) -> Option<String> {
        let (_, after) = text.rsplit_once("Answer:")?;
        Some(after.trim().to_string())
    }

    /// Doubtful answers are wrong. An error means that the judge fails.
    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(task.answer == answer)
    }

    /// Only a cold start needs it. Held-out tasks must not occur here.
    fn demonstration(&self, index: u64) -> Option<Demonstration> {
        let task = self.train()[(index % self.train().len() as u64) as usize].clone();
        let word = task.id.strip_prefix("letters/")?;
        let code = format!("print('{word}'.count('t'))");
        let arguments = [("code".to_string(), code.into())].into_iter().collect();
        let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
        let turns = vec![
            DemoTurn { text: String::new(), call: Some((call, DemoAnswer::Output(task.answer.clone()))) },
            DemoTurn { text: format!("Answer: {}", task.answer), call: None },
        ];
        Some(Demonstration { task, turns })
    }
}

fn main() -> Result<(), EnvError> {
    let env = Letters::new();
    for task in env.train().iter().chain(env.held_out()) {
        let said = format!("Answer: {}", task.answer);
        let right = match env.answer(&said) {
            Some(answer) => env.is_correct(task, &answer)?,
            None => false,
        };
        println!("{} → {} ({right})", task.messages[0].content, task.answer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use turnwise_tools::CallContext;
    use turnwise_tools::executor::ExecutorConfig;

    #[test]
    fn every_task_is_judged_and_no_held_out_one_is_trained_on() {
        let env = Letters::new();
        for task in env.train().iter().chain(env.held_out()) {
            let answer = env.answer(&format!("Answer: {}", task.answer)).unwrap();
            assert!(env.is_correct(task, &answer).unwrap());
            assert!(!env.is_correct(task, "7").unwrap() && env.answer("7").is_none());
        }
        assert!(env.held_out().iter().all(|task| !env.train().contains(task)));
        main().unwrap();
    }

    #[test]
    fn demonstrations_say_what_the_tool_says() {
        let (env, python) = (Letters::new(), ExecutorConfig::default().build().unwrap());
        for index in 0..8 {
            let Demonstration { task, turns } = env.demonstration(index).unwrap();
            let (call, output) = turns[0].call.as_ref().unwrap();
            let opened = env.session(Start::first(&task, &*python)).unwrap();
            let tool = opened.tool(&call.name).unwrap();
            let said = tool.call(&call.arguments, CallContext::default()).unwrap();
            assert_eq!(Some(said.stdout.trim_end()), output.output());
            assert!(env.is_correct(&task, &env.answer(&turns[1].text).unwrap()).unwrap());
            assert!(!env.held_out().contains(&task));
        }
    }
}
