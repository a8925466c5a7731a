//! Selects the runs of an experiment that count: those of its plan, over complete seeds.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::cell::{COLD_START, Cell};
use crate::plan::Plan;
use crate::record::Record;

/// An experiment whose runs are complete, or that was stopped for a reason in the plan.
pub(super) struct Runs {
    /// Methods in the order of the plan.
    pub(super) families: Vec<String>,
    pub(super) methods: Vec<String>,
    /// The rates that were tried. Empty where each method has the chosen one.
    pub(super) rates: Vec<f64>,
    records: Vec<Record>,
}

impl Runs {
    /// Returns none while runs are missing, so that nobody looks at differences before.
    pub(super) fn of(plan: &Plan, name: &str) -> Result<Option<Self>> {
        let experiment = plan.experiment(name)?;
        let own = crate::record::load(&plan.data(name))?;
        if own.is_empty() {
            // Its rates may not be chosen yet.
            return Ok(None);
        }
        let (cells, there) = (plan.cells(experiment, &plan.rates()?)?, plan.records(name)?);
        for own in own {
            if !cells.iter().any(|cell| own.is_of(cell)) {
                bail!(
                    "data/{name}.jsonl: {} {} at seed {} with rate {:e} isn't in plan.toml",
                    own.family,
                    own.method,
                    own.seed,
                    own.rate
                );
            }
        }
        let mut records = Vec::new();
        let mut torn: BTreeSet<(String, u64)> = BTreeSet::new();
        for cell in &cells {
            let mut found = there.iter().filter(|record| record.is_of(cell));
            match found.next() {
                Some(record) => records.push(record.clone()),
                None => {
                    torn.insert((cell.family.clone(), cell.seed));
                }
            }
            if found.any(|_| cell.method != COLD_START) {
                bail!("the experiment {name} has two records of {}", cell.name());
            }
        }
        if !torn.is_empty() && experiment.stopped.is_none() {
            return Ok(None);
        }
        records.retain(|record| !torn.contains(&(record.family.clone(), record.seed)));
        let kinds = plan.kinds()?;
        for record in &mut records {
            let (held_out, known) = (&mut record.held_out, kinds.get(&record.family));
            if held_out.kinds.is_empty() {
                held_out.kinds = known.map_or("", |all| &all[..held_out.right.len().min(all.len())]).into();
            }
        }
        let (families, methods) = (experiment.families.clone(), experiment.methods.clone());
        Ok(Some(Self { families, methods, rates: experiment.rates.clone(), records }))
    }

    /// Returns the runs of a method in a family, by seed.
    pub(super) fn get(&self, family: &str, method: &str) -> Vec<&Record> {
        self.records.iter().filter(|record| record.family == family && record.method == method).collect()
    }

    /// Returns the runs at one of several rates.
    pub(super) fn at(&self, family: &str, method: &str, rate: f64) -> Vec<&Record> {
        self.get(family, method).into_iter().filter(|record| record.rate == rate).collect()
    }

    /// Returns the cold starts of a family, by seed.
    pub(super) fn cold(&self, family: &str) -> Vec<&Record> {
        self.get(family, COLD_START)
    }

    /// Returns the complete seeds of a family.
    pub(super) fn seeds(&self, family: &str) -> Vec<u64> {
        self.cold(family).iter().map(|record| record.seed).collect()
    }
}

/// Returns how many runs of an experiment are recorded and planned, without cold starts.
pub(super) fn progress(plan: &Plan, name: &str) -> Result<(usize, usize)> {
    let experiment = plan.experiment(name)?;
    let rates = plan.rates()?;
    let records = plan.records(name)?;
    let of_runs = |cell: &&Cell| cell.method != COLD_START;
    // Rates that aren't chosen yet don't change the number.
    let Ok(cells) = plan.cells(experiment, &rates) else {
        let runs = experiment.seeds as usize * experiment.families.len() * experiment.methods.len();
        return Ok((0, runs * experiment.rates.len().max(1)));
    };
    let there = |cell: &&Cell| records.iter().any(|record| record.is_of(cell));
    Ok((cells.iter().filter(of_runs).filter(there).count(), cells.iter().filter(of_runs).count()))
}
