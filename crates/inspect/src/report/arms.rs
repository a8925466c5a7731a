//! Groups runs into arms: the runs of an arm differ only in their seed.

use std::collections::{BTreeMap, BTreeSet};

use turnwise_run::{Evaluations, RunEnvironment, StepMetrics};

use super::WINDOW;
use crate::error::InspectError;
use crate::run::Run;

/// Keys that may differ between the runs of one arm.
const SEEDS: [&str; 1] = ["train.seed"];

/// Maps keys to values, as TOML.
type Config = BTreeMap<String, String>;

/// Holds one run's numbers.
pub(super) struct Member<'a> {
    pub(super) run: &'a Run,
    pub(super) config: Config,
    pub(super) metrics: Vec<StepMetrics>,
    pub(super) evaluation: Option<Evaluations>,
    pub(super) environment: RunEnvironment,
}

impl Member<'_> {
    /// Returns the seed in the config.
    pub(super) fn seed(&self) -> String {
        self.config.get("train.seed").cloned().unwrap_or_else(|| "–".into())
    }
}

/// Holds runs with one config and different seeds.
pub(super) struct Arm<'a> {
    pub(super) label: String,
    pub(super) members: Vec<Member<'a>>,
}

/// Returns the runs as arms, in the order of the arguments.
pub(super) fn arms(runs: &[Run]) -> Result<Vec<Arm<'_>>, InspectError> {
    let mut arms: Vec<Arm<'_>> = Vec::new();
    for run in runs {
        let member = Member {
            config: run.config(),
            metrics: run.metrics()?,
            evaluation: run.evaluation()?,
            environment: run.environment()?.unwrap_or_default(),
            run,
        };
        match arms.iter_mut().find(|arm| same_but_seed(&arm.members[0].config, &member.config)) {
            Some(arm) => arm.members.push(member),
            None => arms.push(Arm { label: String::new(), members: vec![member] }),
        }
    }
    let configs: Vec<_> = arms.iter().map(|arm| &arm.members[0].config).collect();
    let differing = differences(&configs);
    let mut labels: Vec<String> = configs.iter().map(|config| label(config, &configs, &differing)).collect();
    let distinct: BTreeSet<&String> = labels.iter().collect();
    if distinct.len() < labels.len() || labels.iter().any(String::is_empty) {
        labels = arms.iter().map(|arm| arm.members[0].run.name().to_string()).collect();
    }
    for (arm, label) in arms.iter_mut().zip(labels) {
        arm.label = label;
    }
    Ok(arms)
}

fn same_but_seed(a: &Config, b: &Config) -> bool {
    let keys = |config: &Config| -> Config {
        config
            .iter()
            .filter(|(key, _)| !SEEDS.contains(&key.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    keys(a) == keys(b)
}

/// Returns the keys in which configs differ, except the seed.
pub(super) fn differences(configs: &[&BTreeMap<String, String>]) -> Vec<String> {
    let keys: BTreeSet<&String> = configs.iter().flat_map(|config| config.keys()).collect();
    let differs = |key: &&String| configs.iter().any(|config| config.get(*key) != configs[0].get(*key));
    keys.into_iter().filter(|key| !SEEDS.contains(&key.as_str())).filter(differs).cloned().collect()
}

/// Returns a label that sets a config apart from the others, if two keys are enough. Another choice, such as
/// an estimator, counts as one key.
fn label(config: &Config, all: &[&Config], differing: &[String]) -> String {
    let mut parts = BTreeSet::new();
    for key in differing.iter().filter(|key| config.contains_key(*key)) {
        let mut path = key.splitn(3, '.');
        let (table, choice) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
        let chosen = format!("{table}.{choice}.");
        let everywhere = all.iter().all(|other| other.keys().any(|key| key.starts_with(&chosen)));
        parts.insert(if path.next().is_some() && !everywhere {
            format!("{table} = {choice}")
        } else {
            format!("{} = {}", key.rsplit('.').next().unwrap_or_default(), config[key])
        });
    }
    if parts.len() > 2 { String::new() } else { parts.into_iter().collect::<Vec<_>>().join(", ") }
}

/// Returns the moving mean of each point and those before it.
pub(super) fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mean = |i: usize| {
        let seen = &points[i.saturating_sub(WINDOW - 1)..=i];
        seen.iter().map(|(_, y)| y).sum::<f64>() / seen.len() as f64
    };
    (0..points.len()).map(|i| (points[i].0, mean(i))).collect()
}
