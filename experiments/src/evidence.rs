//! `docs/evidence.md` and its figures, from the records alone.

mod figures;
mod paired;
mod tables;

use std::fmt::Write;

use anyhow::Result;

use crate::plan::{COLD_START, Plan};
use crate::record::{Record, load};

/// The methods that the hypotheses are about.
pub(crate) const MAIN: [&str; 3] = ["grpo_min", "grpo", "gtpo"];

/// File names and contents.
pub(crate) fn pages(plan: &Plan) -> Result<Vec<(String, String)>> {
    let of = |name: &str| load(&plan.file("data").join(format!("{name}.jsonl")));
    let (main, controls) = (of("main")?, of("controls")?);
    let mut page = String::from(
        "# Evidence: does turn-level credit help?\n\n\
         Made by `just evidence` from the records in [experiments/data](../experiments/data); nothing here is written by \
         hand. What was to be run and tested was fixed before, in [experiments/README.md](../experiments/README.md).\n\n",
    );
    page += &coverage(plan)?;
    let mut pages = Vec::new();
    for family in families(&main) {
        write!(page, "\n## {family}\n\n").expect("a string takes any text");
        let of_family: Vec<&Record> = main.iter().filter(|record| record.family == family).collect();
        page += &tables::methods(&of_family);
        let name = format!("evidence/{family}.svg");
        write!(page, "\n![Learning curves of {family}]({name})\n\n").expect("a string takes any text");
        pages.push((name, figures::curves(&family, &of_family)));
        page += &tables::by_seed(&of_family);
    }
    if !main.is_empty() {
        page += "\n## Hypotheses\n\nDifferences of held-out avg@8 in percentage points, over seeds that both methods have.\n\n";
        page += &paired::hypotheses(&main);
        page += "\n## Overhead\n\n";
        page += &tables::overhead(&main, &controls);
        page += "\n## Where it may hurt\n\n";
        page += &tables::shares(&main);
    }
    if !controls.is_empty() {
        page += "\n## Controls\n\nEach against `gtpo` of the same seed, in percentage points.\n\n";
        page += &paired::controls(&controls, &main);
    }
    pages.insert(0, ("evidence.md".into(), page));
    Ok(pages)
}

/// What was planned, and what is there.
fn coverage(plan: &Plan) -> Result<String> {
    let mut rows = Vec::new();
    for (name, experiment) in &plan.experiments {
        let records = load(&plan.file("data").join(format!("{name}.jsonl")))?;
        let trained = records.iter().filter(|record| record.method != COLD_START).count();
        let per_seed = experiment.families.len() * experiment.methods.len() * experiment.rates.len().max(1);
        let planned = experiment.seeds as usize * per_seed;
        rows.push(vec![
            format!("`{name}`"),
            experiment.seeds.to_string(),
            planned.to_string(),
            trained.to_string(),
        ]);
    }
    Ok(tables::table(&["experiment", "seeds", "runs planned", "runs recorded"], &rows))
}

fn families(records: &[Record]) -> Vec<String> {
    let mut names: Vec<String> = records.iter().map(|record| record.family.clone()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{append, tests::record};

    #[test]
    fn records_become_a_page_with_intervals_and_a_figure() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/plan.toml"), folder.path().join("plan.toml"))
            .unwrap();
        for seed in 0..6 {
            let noise = 0.01 * (seed * 7 % 5) as f64;
            for (method, accuracy) in
                [(COLD_START, 0.3), ("grpo_min", 0.5), ("grpo", 0.52), ("gtpo", 0.57 + noise)]
            {
                let record = record(method, seed, accuracy);
                append(&folder.path().join("data/main.jsonl"), &record).unwrap();
            }
            let control = record("gamma_1", seed, 0.53);
            append(&folder.path().join("data/controls.jsonl"), &control).unwrap();
        }
        let pages = pages(&Plan::read(folder.path()).unwrap()).unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["evidence.md", "evidence/arithmetic.svg"]);
        let page = &pages[0].1;
        // Mean noise is 0.02 · 11/12: six seeds draw 0 2 4 1 3 0.
        assert!(page.contains("| arithmetic | gtpo − grpo | 6 | +6.7 |"), "{page}");
        assert!(page.contains("| arithmetic | gamma_1 − gtpo | 6 | −5.7 |"), "{page}");
        assert!(page.contains("| `gtpo` | 6 | 30.0 % | 58.7 %"), "{page}");
        assert!(page.contains("| gtpo | 1.000 % |"), "{page}");
    }

    #[test]
    fn the_committed_page_is_the_one_that_the_committed_records_make() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, text) in pages(&Plan::read(folder).unwrap()).unwrap() {
            let there = std::fs::read_to_string(folder.join("../docs").join(&name)).unwrap_or_default();
            assert!(there == text, "docs/{name} is not what the records say: just evidence");
        }
    }
}
