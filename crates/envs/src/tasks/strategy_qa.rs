//! Poses yes/no questions that need several facts, read as StrategyQA is published (arXiv:2101.02235): rows
//! of `{"question": "…", "answer": true, "facts": ["…"]}`. The facts of all questions are what the search
//! tool knows, so that finding the right ones is part of the task.

mod search;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use turnwise_datasets::DataError;
use turnwise_runfile::{Conflict, Seed, Within};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_tools::tool::text;
use turnwise_tools::{Arguments, Fault, FunctionTool, ToolSpec};
use turnwise_trajectory::ToolOutput;

use crate::env::{Env, EnvError};
use crate::seed::stream;
use crate::session::{Opened, Start};
use crate::settings::EnvSettings;
use crate::tasks::one_word::one_word;
use crate::tasks::same_question::normal;
use crate::tasks::{Task, Tasks, asked};
use search::Search;

/// Configures StrategyQA's questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyQaConfig {
    /// The data: JSON lines or one JSON array, plain or in gzip, or parquet.
    pub data: PathBuf,
    /// Number of questions to hold out. The rest is trained on.
    #[serde(default = "held_out", deserialize_with = "Within::<0, 1_000_000_000>::read")]
    pub held_out: usize,
    /// Seed of the split.
    #[serde(default, deserialize_with = "Seed::read")]
    pub seed: u64,
    /// Number of rows to read from the start of the file; unset, all.
    #[serde(default, deserialize_with = "Within::<1, 1_000_000_000>::read")]
    pub limit: Option<usize>,
    /// Columns of the file by the names that are read: `question`, `answer` and `facts`. A path may lead into
    /// structs: `facts = "evidence.facts"`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Maximum number of facts that one search returns.
    #[serde(default = "facts", deserialize_with = "Within::<1, 1_000>::read")]
    pub facts: usize,
    /// A system message before every question, which tells the policy how to state its answer. Empty for
    /// none.
    #[serde(default = "instruction")]
    pub instruction: String,
}

fn instruction() -> String {
    "Answer the question; the tool finds facts. End your last message with Answer: yes or Answer: no.".into()
}

fn held_out() -> usize {
    512
}

fn facts() -> usize {
    3
}

impl EnvSettings for StrategyQaConfig {
    fn conflict(&self) -> Option<Conflict> {
        turnwise_datasets::conflict(&self.columns, &["answer", "facts", "question"])
    }

    fn open(&self, _: &ExecutorConfig) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(StrategyQa::new(self)?))
    }
}

/// A question of the data. Other published keys are ignored.
#[derive(Deserialize)]
struct Record {
    question: String,
    answer: bool,
    facts: Vec<String>,
}

/// Poses yes/no questions that need several facts.
pub struct StrategyQa {
    tasks: Tasks,
    search: Search,
    facts: usize,
}

impl StrategyQa {
    /// Reads the data and splits it. A question that occurs twice, however it is written, counts once, as one
    /// does in the published file. With two different answers it is an error.
    pub fn new(config: &StrategyQaConfig) -> Result<Self, EnvError> {
        let wrong = |message: String| EnvError::Config { env: "strategy_qa", message };
        let mut records: Vec<(usize, Record)> = Vec::new();
        for row in turnwise_datasets::rows(&config.data)?.take(config.limit.unwrap_or(usize::MAX)) {
            let row = row?;
            records.push((row.line, row.read(&config.data, &config.columns)?));
        }
        if records.is_empty() {
            return Err(DataError::line(&config.data, 1, "no record; hint: one JSON object per line").into());
        }
        let mut tasks = tasks(config, &records)?;
        if config.held_out >= tasks.len() {
            let (held_out, all) = (config.held_out, tasks.len());
            return Err(wrong(format!(
                "held_out = {held_out} leaves nothing to train on of {all} questions"
            )));
        }
        let mut rng = stream(config.seed, "split", 0);
        for last in (1..tasks.len()).rev() {
            tasks.swap(last, rng.random_range(0..=last));
        }
        let train = tasks.split_off(config.held_out);
        let search = Search::new(records.into_iter().flat_map(|(_, record)| record.facts));
        let tasks = Tasks { train, held_out: tasks, tools: vec![tool()] };
        Ok(Self { tasks, search, facts: config.facts })
    }
}

/// Returns a task per question, in the order of the file.
fn tasks(config: &StrategyQaConfig, records: &[(usize, Record)]) -> Result<Vec<Task>, EnvError> {
    let wrong = |line: usize, message: String| Err(DataError::line(&config.data, line, message).into());
    let mut answers: HashMap<String, bool> = HashMap::new();
    let mut tasks = Vec::new();
    for (line, record) in records {
        let question = record.question.trim();
        if question.is_empty() {
            return wrong(*line, "the question is empty; hint: remove the record".into());
        }
        match answers.insert(normal(question), record.answer) {
            Some(answer) if answer == record.answer => continue,
            Some(_) => {
                let message =
                    format!("question {question:?} has two answers; hint: remove one of the records");
                return wrong(*line, message);
            }
            None => {}
        }
        tasks.push(Task {
            id: format!("strategy_qa/{}", tasks.len()),
            level: record.facts.len() as u32,
            messages: asked(&config.instruction, question),
            answer: if record.answer { "yes" } else { "no" }.into(),
        });
    }
    Ok(tasks)
}

fn tool() -> ToolSpec {
    ToolSpec::new(
        "search",
        "Searches a collection of facts and returns those that share the most telling words with the query.",
        json!({
            "type": "object",
            "properties": {"query": {"type": "string", "description": "Words to search for."}},
            "required": ["query"],
        }),
    )
}

impl Env for StrategyQa {
    fn name(&self) -> &'static str {
        "strategy_qa"
    }

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    fn session<'a>(&'a self, _: Start<'a>) -> Result<Opened<'a>, Fault> {
        let search = move |arguments: &Arguments| {
            let found = self.search.best(text(arguments, "query"), self.facts);
            ToolOutput::says(if found.is_empty() { "No fact found.".into() } else { found.join("\n") })
        };
        Ok(Opened::stateless(FunctionTool::new(&self.tasks.tools[0], search)))
    }

    /// Returns `yes` or `no`, also for true and false.
    fn answer(&self, text: &str) -> Option<String> {
        match one_word(text)?.as_str() {
            "yes" | "true" => Some("yes".into()),
            "no" | "false" => Some("no".into()),
            _ => None,
        }
    }

    fn is_correct(&self, task: &Task, answer: &str) -> Result<bool, EnvError> {
        Ok(task.answer == answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::called;
    use std::collections::HashSet;
    use turnwise_tools::executor::Scripted;
    use turnwise_trajectory::ToolCall;

    fn config(content: &str) -> (tempfile::TempDir, StrategyQaConfig) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data.json");
        std::fs::write(&data, content).unwrap();
        (
            folder,
            StrategyQaConfig {
                data,
                held_out: 1,
                seed: 0,
                limit: None,
                columns: BTreeMap::new(),
                facts: 2,
                instruction: instruction(),
            },
        )
    }

    fn open(content: &str, change: impl Fn(&mut StrategyQaConfig)) -> Result<StrategyQa, EnvError> {
        let (_folder, mut config) = config(content);
        change(&mut config);
        StrategyQa::new(&config)
    }

    const DATA: &str = r#"[
        {"qid": "1", "question": "Do cats bark?", "answer": false, "facts": ["Cats meow.", "Dogs bark."]},
        {"question": "Can a penguin swim?", "answer": true, "facts": ["Penguins swim well."]},
        {"question": "Is iron a metal?", "answer": true, "facts": ["Iron is a metal."]}
    ]"#;

    #[test]
    fn every_question_is_in_one_split_and_the_seed_decides_which() {
        let held = |seed: u64| {
            let env = open(DATA, |config| config.seed = seed).unwrap();
            let mut all: Vec<&Task> = env.train().iter().chain(env.held_out()).collect();
            all.sort_by_key(|task| &task.id);
            let read: Vec<_> = all.iter().map(|task| (task.level, task.answer.as_str())).collect();
            assert_eq!(read, [(2, "no"), (1, "yes"), (1, "yes")]);
            env.held_out()[0].id.clone()
        };
        let picks: HashSet<String> = (0..20).map(held).collect();
        assert_eq!((picks.len(), held(7)), (3, held(7)));
    }

    #[test]
    fn a_search_sees_the_facts_of_all_questions() {
        let env = open(DATA, |_| ()).unwrap();
        for (query, expect) in [("bark cats", "Cats meow.\nDogs bark."), ("unicorn", "No fact found.")] {
            let arguments = [("query".to_string(), query.into())].into_iter().collect();
            let call = ToolCall { name: "search".into(), arguments, span: 0..0 };
            for task in env.train().iter().chain(env.held_out()) {
                assert_eq!(called(&env, &Scripted::new(), task, &call), ToolOutput::says(expect));
            }
        }
    }

    #[test]
    fn yes_and_no_have_two_spellings_and_no_third() {
        let env = open(DATA, |_| ()).unwrap();
        for (text, answer) in [
            ("Answer: Yes.", Some("yes")),
            ("Answer: false", Some("no")),
            ("Answer: maybe", None),
            ("Answer: yes and no", None),
            ("Yes", None),
        ] {
            assert_eq!(env.answer(text).as_deref(), answer, "{text}");
        }
    }

    #[test]
    fn data_that_cannot_serve_is_refused_with_its_place() {
        let twice = DATA.replace("Is iron a metal?", "Do cats bark?");
        let again =
            twice.replace("\"answer\": true, \"facts\": [\"Iron", "\"answer\": false, \"facts\": [\"Iron");
        assert_eq!(open(&again, |_| ()).unwrap().train().len(), 1, "the same answer again counts once");
        let respelled = again.replacen("Do cats bark?", "do  cats BARK", 1);
        assert_eq!(open(&respelled, |_| ()).unwrap().train().len(), 1, "however it is written");
        let empty = DATA.replace("Is iron a metal?", " ");
        let no_answer = DATA.replace("\"answer\": true, \"facts\": [\"Iron", "\"facts\": [\"Iron");
        let all = |config: &mut StrategyQaConfig| config.held_out = 3;
        for (result, expect) in [
            (open(&twice, |_| ()), "data.json:4: question \"Do cats bark?\" has two answers"),
            (open(&empty, |_| ()), "data.json:4: the question is empty"),
            (open(&no_answer, |_| ()), "data.json:4: missing field `answer`"),
            (open(DATA, all), "held_out = 3 leaves nothing to train on of 3 questions"),
            (open("", |_| ()), "no record"),
        ] {
            let error = result.err().unwrap().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }
}
