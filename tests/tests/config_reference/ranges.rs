//! Every number of a run file at the ends of its range and beyond: refused with its key and its range, or the
//! configuration works.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use turnwise_credit::{Group, ScoredTrajectory};
use turnwise_envs::EnvConfig;
use turnwise_model::{ModelConfig, load_config};
use turnwise_run::{Metric, StepMetrics};
use turnwise_sampler::{SequenceId, sample};
use turnwise_tests::{device, model_folder};
use turnwise_tools::executor::ExecutorConfig;
use turnwise_trainer::config::{Consistent, RunConfig, ScoreConfig, SftConfig, load, to_toml};
use turnwise_trainer::guards::{Rounding, Watched, findings};
use turnwise_trainer::memory_estimate::Estimate;
use turnwise_trainer::{Optimizer, sampling};
use turnwise_trajectory::Rewards;

use crate::root;
use crate::schema::schema;
use crate::source::Sources;

/// Values for every number, besides the ends of its range.
const VALUES: [&str; 20] = [
    "0",
    "-0.0",
    "1",
    "-1",
    "0.5",
    "1e-9",
    "1e-308",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "1e308",
    "-1e308",
    "1e999",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "340282366920938463463374607431768211456",
    "1000000000000000000000000000000000000000000000000000000000000",
];

/// A number of a run file.
struct Number {
    path: String,
    /// Choices that its table is a part of, as `--set` makes them.
    sets: Vec<String>,
    schema: Value,
    in_list: bool,
}

struct Walk {
    schema: Value,
    found: Vec<Number>,
    /// Definitions that hold the one that is walked.
    around: Vec<String>,
}

impl Walk {
    /// All numbers of the run file whose type has this name, each once.
    fn of(name: &str) -> Vec<Number> {
        let schema = schema(&Sources::read(&root()), name);
        let mut walk = Self { schema: schema.clone(), found: Vec::new(), around: Vec::new() };
        walk.visit(&schema, "", &[]);
        walk.found
    }

    fn visit(&mut self, node: &Value, path: &str, sets: &[String]) {
        if let Some(reference) = node["$ref"].as_str() {
            let name = reference.rsplit('/').next().expect("a name").to_string();
            // An environment may hold another one.
            if !self.around.contains(&name) {
                let definition = self.schema["$defs"][&name].clone();
                self.around.push(name);
                self.visit(&definition, path, sets);
                self.around.pop();
            }
            return;
        }
        let number = |schema: &Value| matches!(schema["type"].as_str(), Some("integer" | "number"));
        let in_list = number(&node["items"]);
        if number(node) || in_list {
            let schema = if in_list { node["items"].clone() } else { node.clone() };
            let number = Number { path: path.into(), sets: sets.to_vec(), schema, in_list };
            return self.found.push(number);
        }
        if number(&node["additionalProperties"]) {
            let path = format!("{path}.any_name");
            let schema = node["additionalProperties"].clone();
            return self.found.push(Number { path, sets: sets.to_vec(), schema, in_list: false });
        }
        if node["additionalProperties"]["$ref"].is_string() {
            let inner = &node["additionalProperties"];
            let path = format!("{path}.any_name");
            let named = format!("{path}={{{}}}", self.required(inner));
            return self.visit(inner, &path, &[sets, &[named]].concat());
        }
        let under = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        for (key, inner) in node["properties"].as_object().into_iter().flatten() {
            // A table that may be absent needs its keys where it is there.
            let needed = self.required(inner);
            let needed = (!needed.is_empty()).then(|| format!("{}={{{needed}}}", under(key)));
            self.visit(inner, &under(key), &[sets, needed.as_slice()].concat());
        }
        for option in node["oneOf"].as_array().into_iter().flatten() {
            for (key, inner) in option["properties"].as_object().into_iter().flatten() {
                let chosen = format!("{}={{{}}}", under(key), self.required(inner));
                self.visit(inner, &under(key), &[sets, &[chosen]].concat());
            }
        }
    }

    /// The keys that a table must have, as the inside of an inline table.
    fn required(&self, table: &Value) -> String {
        let Some(name) = table["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) else {
            return String::new();
        };
        let table = &self.schema["$defs"][name];
        let value = |key: &str| {
            let schema = &table["properties"][key];
            match schema["type"].as_str() {
                Some("integer" | "number") => schema["maximum"].to_string(),
                Some("array") if key == "urls" => "[\"http://x\"]".into(),
                Some("array") => "[\"x\"]".into(),
                Some(_) => "\"x\"".into(),
                // A list is one of the forms.
                None if schema["oneOf"].is_array() => "[\"x\"]".into(),
                None => "{arithmetic = {}}".into(),
            }
        };
        let keys = table["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        keys.map(|key| format!("{key} = {}", value(key))).collect::<Vec<_>>().join(", ")
    }
}

impl Number {
    /// Whether the schema lets a value pass.
    fn admits(&self, text: &str) -> bool {
        let end = |name: &str| self.schema.get(name);
        if self.schema["type"] == "integer" {
            let Ok(number) = text.parse::<i128>() else { return false };
            let end = |name: &str| i128::from(self.schema[name].as_i64().expect("both ends"));
            return (end("minimum")..=end("maximum")).contains(&number);
        }
        let number: f64 = text.trim_end_matches(".0").parse().expect("a number");
        let above = match (end("minimum"), end("exclusiveMinimum")) {
            (Some(least), None) => number >= least.as_f64().expect("a number"),
            (None, Some(least)) => number > least.as_f64().expect("a number"),
            other => panic!("{}: {other:?}", self.path),
        };
        above && number <= self.schema["maximum"].as_f64().expect("an upper end")
    }

    /// The values to try.
    fn values(&self) -> Vec<String> {
        let ends = ["minimum", "exclusiveMinimum", "maximum"].iter().filter_map(|name| self.schema.get(name));
        VALUES.iter().map(ToString::to_string).chain(ends.map(Value::to_string)).collect()
    }

    /// Loads the file with one value and says what is wrong, if anything is.
    fn check<C>(&self, least: &[&str], text: &str, works: &dyn Fn(&C)) -> Result<(), String>
    where
        C: DeserializeOwned + Serialize + Consistent + PartialEq + Debug,
    {
        let value = if self.in_list { format!("[{text}]") } else { text.into() };
        let set = format!("{}={value}", self.path);
        let sets = least.iter().map(ToString::to_string).chain(self.sets.clone()).chain([set.clone()]);
        let found = load::<C>(None, &[], &sets.collect::<Vec<_>>());
        match (self.admits(text), found) {
            (true, Ok(config)) => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let file = folder.path().join("resolved.toml");
                std::fs::write(&file, to_toml(&config)).expect("a file");
                let again = load::<C>(Some(&file), &[], &[]).map_err(|e| format!("resolved {set}: {e}"))?;
                works(&config);
                if again == config { Ok(()) } else { Err(format!("{set}: the resolved file says otherwise")) }
            }
            (false, Ok(_)) => Err(format!("{set} passes, but not the schema")),
            (false, Err(error)) => {
                let whole = if self.schema["type"] == "integer" { "a whole number " } else { "a number " };
                let told = error.message.starts_with(&format!("`{}` is ", self.path))
                    && error.message.contains(&format!(", expected {whole}"))
                    && error.place == format!("--set {set}");
                if told { Ok(()) } else { Err(format!("{set}: {error}")) }
            }
            // Two keys that don't go together: the one to change may be its neighbour.
            (true, Err(error)) => {
                let table = self.path.rsplit_once('.').map_or("", |(table, _)| table);
                let told = error.message.starts_with(&format!("`{table}"))
                    && !error.message.contains(" number from ");
                if told { Ok(()) } else { Err(format!("{set}: {error}")) }
            }
        }
    }
}

fn check_all<C>(root: &str, least: &[&str], at_least: usize, works: &dyn Fn(&C))
where
    C: DeserializeOwned + Serialize + Consistent + PartialEq + Debug,
{
    let numbers = Walk::of(root);
    assert!(numbers.len() >= at_least, "{root}: {} numbers", numbers.len());
    let wrong: Vec<String> = numbers
        .iter()
        .flat_map(|number| number.values().into_iter().map(move |text| (number, text)))
        .filter_map(|(number, text)| number.check(least, &text, works).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two groups, so that estimators have something to compare.
fn groups() -> Vec<Group> {
    let trajectory = |acc: f64, fmt: f64, code: &str| ScoredTrajectory {
        turns: vec![Rewards::new(0.0, fmt), Rewards::new(acc, 0.0)],
        correct: acc > 0.0,
        code: code.into(),
        ..ScoredTrajectory::default()
    };
    let group = |name: &str| Group {
        group: name.into(),
        trajectories: vec![
            trajectory(1.0, 0.0, "print(1 + 2)"),
            trajectory(0.0, -0.1, "print(2)"),
            trajectory(0.0, 0.0, ""),
        ],
    };
    vec![group("a"), group("b")]
}

/// The parts of a run that need no model's weights.
fn run_works(config: &RunConfig, model: &ModelConfig) {
    for workers in [1, 4096] {
        let estimate = Estimate::of(config, model, workers, &device());
        assert!(estimate.total() >= estimate.certain() && !estimate.to_string().is_empty());
    }
    assert!(Optimizer::new(&config.optimizer).lr().is_finite());
    let shaping = &config.shaping;
    assert!([0, 1, usize::MAX].iter().all(|step| (0.0..=1.0).contains(&shaping.alpha_at(*step))));
    // The endpoint of a similarity would be asked for the rest.
    if shaping.similarity.name() != "endpoint" {
        let scored = ScoreConfig::from(config).scorer().score(&groups(), 1).expect("offline");
        assert!(scored.iter().flat_map(|group| group.advantages.concat()).all(f64::is_finite));
    }
    let limit = config.rollout.max_turns * config.rollout.max_turn_tokens;
    let weights = config.weights.token_weights(&[vec![true, false], vec![true]], limit);
    assert!(weights.concat().iter().all(|weight| weight.is_finite()));
    let [half, none] = [0.5, 0.0].map(Metric::from);
    let step = StepMetrics {
        entropy: half,
        accuracy: half,
        truncated: none,
        dropped: none,
        ..StepMetrics::default()
    };
    let watched = Watched { on_policy: true, rounding: Rounding::of(config), loss: config.loss.name() };
    findings(&vec![step; 3], &config.guards, watched);
    let id = SequenceId { seed: config.train.seed, step: 0, task: 0, occurrence: 0, sample: 0, turn: 0 };
    let drawn = sample(&[0.5, -30.0, 2.0, 2.0], &sampling(&config.rollout.sampling), &mut id.rng());
    assert!(drawn.expect("finite logits").logprob.is_finite());
    env_works(&config.env);
}

/// Draws tasks and demonstrations, where there are few.
fn env_works(env: &EnvConfig) {
    let few = |train: usize, held_out: usize| train + held_out < 20_000;
    let opens = match env {
        EnvConfig::Arithmetic(config) => few(config.train_tasks, config.held_out_tasks),
        EnvConfig::Lookup(config) => few(config.train_tasks, config.held_out_tasks),
        _ => false,
    };
    if !opens || *env == default_arithmetic() {
        return;
    }
    // Settings may leave nothing to draw: an error that says so.
    if let Ok(env) = env.open(&ExecutorConfig::default()) {
        assert!((0..3).all(|index| env.demonstration(index).is_none_or(|d| !d.turns.is_empty())));
    }
}

/// The environment of every file whose numbers are elsewhere.
fn default_arithmetic() -> EnvConfig {
    EnvConfig::Arithmetic(turnwise_envs::ArithmeticConfig::default())
}

#[test]
fn every_number_of_a_run_file_is_refused_with_its_range_or_works() {
    let model = load_config(&model_folder("tiny")).expect("the committed model");
    let works = |config: &RunConfig| run_works(config, &model);
    check_all::<RunConfig>("RunConfig", &["model=m", "env=arithmetic"], 120, &works);
}

#[test]
fn every_number_of_a_cold_start_is_refused_with_its_range_or_works() {
    let least = ["model.folder=m", "env=arithmetic", "data.file=d", "steps=1", "batch=1"];
    let works = |config: &SftConfig| config.env.iter().for_each(env_works);
    check_all::<SftConfig>("SftConfig", &least, 60, &works);
}

/// A range is written at every number, and nowhere else.
#[test]
fn no_number_is_without_a_range() {
    for root in ["RunConfig", "SftConfig"] {
        let numbers = Walk::of(root);
        let open = |number: &&Number| {
            number.schema["maximum"].is_null()
                || (number.schema["minimum"].is_null() && number.schema["exclusiveMinimum"].is_null())
        };
        let open: Vec<&str> = numbers.iter().filter(open).map(|number| number.path.as_str()).collect();
        assert!(
            open.is_empty(),
            "{root}: write #[serde(deserialize_with = \"Within::<…>::read\")] at {open:?}"
        );
    }
}
