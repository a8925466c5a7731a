//! Reads the plan: `plan.toml`, as the pre-registration describes it in words, and `rates.toml`, the learning
//! rates that the tuning runs chose.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cell::{COLD_START, Cell};
use crate::record::{Record, load};

/// Family → method → learning rate.
pub(crate) type Rates = BTreeMap<String, BTreeMap<String, f64>>;

/// The files of the experiments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Updates of the policy in every run.
    pub(crate) updates: usize,
    /// Settings by the method's name.
    pub(crate) methods: BTreeMap<String, Method>,
    pub(crate) experiments: BTreeMap<String, Experiment>,
    /// Tests of experiments that register them here.
    #[serde(default)]
    pub(crate) contrasts: Vec<Contrast>,
    #[serde(skip)]
    folder: PathBuf,
}

/// A way to give credit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Method {
    /// Its description, for readers of the evidence.
    pub(crate) what: String,
    /// Differences from the family's run file, as `turnwise train --set` takes them.
    pub(crate) set: Vec<String>,
    /// The method whose learning rate a control takes. Without it, the rate is tuned.
    pub(crate) rate_of: Option<String>,
}

/// A grid of runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Experiment {
    pub(crate) families: Vec<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) first_seed: u64,
    pub(crate) seeds: u64,
    /// Learning rates to try. Empty for the chosen ones.
    #[serde(default)]
    pub(crate) rates: Vec<f64>,
    /// Held-out tasks and samples of each.
    pub(crate) tasks: usize,
    pub(crate) samples: usize,
    /// The experiment whose records and cold starts are used here too, as far as the runs are the same.
    pub(crate) with: Option<String>,
    /// Rates that differ here from the chosen ones.
    #[serde(default)]
    pub(crate) chosen: Rates,
    /// SHA-256 of the programs that may make its runs. Empty for any.
    #[serde(default)]
    pub(crate) programs: Vec<String>,
    /// Seed of the environments' tasks.
    #[serde(default)]
    pub(crate) env_seed: u64,
    /// Rules for cold starts that are made again from other random weights.
    #[serde(default)]
    pub(crate) cold_starts: Vec<ColdStartRule>,
    /// The reason why the experiment ended before all its runs were made. Before that nothing of it is shown.
    pub(crate) stopped: Option<String>,
}

/// A registered comparison: `method − baseline`, paired by seed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contrast {
    /// The set over which Holm adjusts. Contrasts of one set follow each other.
    pub(crate) holm: String,
    pub(crate) experiment: String,
    pub(crate) family: String,
    /// The family whose own `method − baseline` is subtracted: the contrast is an interaction.
    pub(crate) less: Option<String>,
    /// The kinds of tasks that count, a letter each. Empty for all tasks.
    #[serde(default)]
    pub(crate) kinds: String,
    #[serde(default)]
    pub(crate) measure: Measure,
    pub(crate) baseline: String,
    pub(crate) method: String,
}

/// The value of the held-out tasks that a contrast compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    /// Right answers.
    #[default]
    Right,
    /// Right answers of trajectories that break the format nowhere.
    Strict,
    /// Turns per trajectory.
    Turns,
}

/// The accuracy that a cold start needs before a run begins from it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ColdStartRule {
    pub(crate) family: String,
    /// The kinds of tasks that count, a letter each.
    pub(crate) kinds: String,
    /// Lowest share of right answers on them.
    pub(crate) at_least: f64,
}

impl Plan {
    /// Reads `plan.toml` of the folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("plan.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
        let mut plan: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        plan.folder = folder.into();
        Ok(plan)
    }

    /// Reads a file of the experiments.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn experiment(&self, name: &str) -> Result<&Experiment> {
        self.experiments.get(name).with_context(|| {
            let known: Vec<&str> = self.experiments.keys().map(String::as_str).collect();
            format!("no experiment {name:?}; plan.toml has {}", known.join(", "))
        })
    }

    /// Returns the path of an experiment's records.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.file("data").join(format!("{name}.jsonl"))
    }

    /// Returns the records that an experiment can use: its records, and those of the experiment that `with`
    /// names.
    pub(crate) fn records(&self, name: &str) -> Result<Vec<Record>> {
        let mut records = load(&self.data(name))?;
        if let Some(other) = &self.experiment(name)?.with {
            records.extend(load(&self.data(other))?);
        }
        Ok(records)
    }

    /// Returns the chosen learning rates. Empty before `choose`.
    pub(crate) fn rates(&self) -> Result<Rates> {
        let path = self.file("rates.toml");
        if !path.exists() {
            return Ok(Rates::new());
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{}: cannot read", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Returns family → kinds of its held-out tasks, for records that lack them.
    pub(crate) fn kinds(&self) -> Result<BTreeMap<String, String>> {
        let path = self.file("data/kinds.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Returns the runs of an experiment, seed by seed, so that the records always form complete pairs. The
    /// cold starts are runs too: their evaluation is the value before training, for all methods.
    pub(crate) fn cells(&self, experiment: &Experiment, rates: &Rates) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for seed in experiment.first_seed..experiment.first_seed + experiment.seeds {
            for family in &experiment.families {
                let cell =
                    |method: &str, rate| Cell { family: family.clone(), method: method.into(), seed, rate };
                cells.push(cell(COLD_START, 0.0));
                for method in &experiment.methods {
                    let tried = if experiment.rates.is_empty() {
                        vec![self.rate(family, method, &experiment.chosen, rates)?]
                    } else {
                        experiment.rates.clone()
                    };
                    cells.extend(tried.into_iter().map(|rate| cell(method, rate)));
                }
            }
        }
        Ok(cells)
    }

    fn rate(&self, family: &str, method: &str, here: &Rates, everywhere: &Rates) -> Result<f64> {
        let Some(settings) = self.methods.get(method) else { bail!("plan.toml: no method {method:?}") };
        let owner = settings.rate_of.as_deref().unwrap_or(method);
        let found = [here, everywhere].into_iter().find_map(|rates| rates.get(family)?.get(owner));
        found.copied().with_context(|| {
            format!("rates.toml has no learning rate of {owner} for {family}\n  hint: just experiment tune, then just choose-rates")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the committed plan")
    }

    /// Two experiments share seeds if one names the other in `with`, or if neither is evidence.
    #[test]
    fn seeds_of_evidence_are_nobody_elses() {
        let plan = plan();
        let seeds = |name: &str| {
            let of = &plan.experiments[name];
            of.first_seed..of.first_seed + of.seeds
        };
        let root = |name: &str| plan.experiments[name].with.clone().unwrap_or_else(|| name.into());
        let tunes = |name: &str| plan.experiments[name].tasks < 1024;
        for one in plan.experiments.keys() {
            for other in plan.experiments.keys().filter(|other| root(other) != root(one)) {
                let apart = seeds(one).all(|seed| !seeds(other).contains(&seed));
                assert!(apart || (tunes(one) && tunes(other)), "{one} {other}");
            }
            let with = root(one);
            assert!(seeds(one).all(|seed| seeds(&with).contains(&seed)), "{one} is paired with {with}");
        }
        assert!(seeds("main").count() >= 20);
        let main = &plan.experiments["main"];
        assert!(main.tasks >= 1024 && main.samples == 8);
    }

    #[test]
    fn contrasts_are_of_runs_that_are_planned() {
        let plan = plan();
        for contrast in &plan.contrasts {
            let experiment = plan.experiment(&contrast.experiment).unwrap();
            assert!(experiment.families.contains(&contrast.family), "{contrast:?}");
            for method in [&contrast.method, &contrast.baseline] {
                assert!(experiment.methods.contains(method), "{contrast:?}");
            }
        }
    }

    #[test]
    fn every_cell_has_a_name_of_its_own_and_controls_take_over_a_rate() {
        let plan = plan();
        let methods: BTreeMap<String, f64> = plan
            .methods
            .iter()
            .filter(|(_, m)| m.rate_of.is_none())
            .map(|(n, _)| (n.clone(), 1e-4))
            .collect();
        let families = ["arithmetic", "lookup", "programs"];
        let rates: Rates = families.iter().map(|f| ((*f).to_string(), methods.clone())).collect();
        for (name, experiment) in &plan.experiments {
            let cells = plan.cells(experiment, &rates).expect(name);
            let names: std::collections::BTreeSet<String> = cells.iter().map(Cell::name).collect();
            assert_eq!(names.len(), cells.len(), "{name}");
            let per_seed = 1 + experiment.methods.len() * experiment.rates.len().max(1);
            assert_eq!(
                cells.len(),
                experiment.seeds as usize * experiment.families.len() * per_seed,
                "{name}"
            );
        }
        let own = BTreeMap::from([("gtpo".to_string(), 7e-4)]);
        let chosen = Rates::from([("lookup".to_string(), own)]);
        let other = Experiment { chosen, ..plan.experiment("own").unwrap().clone() };
        for cell in plan.cells(&other, &rates).unwrap().iter().filter(|cell| cell.method != COLD_START) {
            let changed = cell.family == "lookup" && ["gtpo", "first_return"].contains(&cell.method.as_str());
            assert_eq!(cell.rate, if changed { 7e-4 } else { 1e-4 }, "{}", cell.name());
        }
        let missing = plan.cells(plan.experiment("main").unwrap(), &Rates::new()).unwrap_err().to_string();
        assert!(missing.contains("just experiment tune"), "{missing}");
    }
}
