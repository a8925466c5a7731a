//! Fills `docs/evidence.md`: the text of `conclusions.md` with one figure and one table.

use anyhow::{Context, Result};
use turnwise_inspect::report::{Band, Panel};
use turnwise_stats::Interval;

use super::forest::{forest, labelled};
use super::paired::{Difference, difference, difference_in};
use super::runs::Runs;
use super::second::headroom;
use super::tables::{mean_of, percent, points, table};
use crate::held_out::Digits;
use crate::plan::Plan;
use crate::record::Record;

/// The figure's file below `docs`.
pub(super) const FIGURE: &str = "evidence/forest.svg";
/// The text while runs are missing.
pub(super) const WAITING: &str =
    "**Runs are still being made.** An experiment is shown when all its runs are there.";

/// The paper's gains in points: 3.0 for math, 3.9 for its other families.
const CLAIM: Interval = Interval { low: 3.0, high: 3.9 };
/// Family, its kinds of tasks, and their name. The shares of several entries count alike.
const KINDS: [(&str, &[&str], &str); 4] = [
    ("lookup", &["23"], "lookup, a name"),
    ("lookup", &["y", "n"], "lookup, yes or no, both alike"),
    ("programs", &["t"], "programs, constants told"),
    ("programs", &["h"], "programs, hidden constant"),
];
const BASELINE: &str = "grpo_min";
const METHOD: &str = "gtpo";

/// Returns the page and its figure: file names below `docs`, and contents.
pub(super) fn pages(plan: &Plan, main: Option<&Runs>) -> Result<Vec<(String, String)>> {
    let Some(main) = main else {
        return Ok(vec![("evidence.md".into(), format!("{WAITING}\n"))]);
    };
    let own = Runs::of(plan, "own")?;
    let path = plan.file("conclusions.md");
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{{table}}\n".into(),
        read => read.with_context(|| format!("{}: cannot read", path.display()))?,
    };
    // Its links lead from its own folder.
    let text = text.replace("../docs/", "").replace("{{table}}", results(main, own.as_ref()).trim_end());
    let headroom = Runs::of(plan, "e1")?.map_or_else(|| WAITING.into(), |runs| headroom(&runs));
    let text = text.replace("{{headroom}}", headroom.trim_end());
    Ok(vec![("evidence.md".into(), text), (FIGURE.into(), figure(main, own.as_ref()))])
}

fn of(runs: &Runs, family: &str, method: &str) -> Option<Difference> {
    difference(&runs.get(family, BASELINE), &runs.get(family, method))
}

/// Writes a row per family: the baseline, and what GTPO differs by in points.
fn results(main: &Runs, own: Option<&Runs>) -> String {
    let cell = |difference: Option<Difference>| {
        let shown =
            |d: Difference| format!("{} ({} … {})", points(d.points), points(d.t.low), points(d.t.high));
        difference.map_or("–".into(), shown)
    };
    let row = |family: &String| {
        vec![
            format!("`{family}`"),
            percent(mean_of(&main.get(family, BASELINE), |record| record.held_out.accuracy)),
            cell(of(main, family, METHOD)),
            cell(own.and_then(|own| of(own, family, METHOD))),
            cell(own.and_then(|own| of(own, family, "first_return"))),
        ]
    };
    let heads = ["family", "baseline", "GTPO − baseline", "repeated, equal rates", "over first returns"];
    table(&heads, &main.families.iter().map(row).collect::<Vec<_>>())
}

fn figure(main: &Runs, own: Option<&Runs>) -> String {
    let families = |title: &str, runs: &Runs| {
        let row = |family: &String| {
            of(runs, family, METHOD).map(|difference| labelled(family.clone(), &difference))
        };
        Panel { title: title.into(), rows: runs.families.iter().filter_map(row).collect() }
    };
    let mut panels = vec![families("registered, 20 seeds", main)];
    panels.extend(own.map(|own| families("repeated at equal rates, 16 seeds", own)));
    let mut rows = Vec::new();
    for (family, kinds, name) in KINDS {
        let share = |record: &Record| {
            let shares: Option<Vec<f64>> =
                kinds.iter().map(|kind| record.held_out.share(kind, Digits::Right)).collect();
            shares.map(|shares| turnwise_stats::mean(&shares))
        };
        let found = difference_in(&main.get(family, BASELINE), &main.get(family, METHOD), share);
        rows.extend(found.map(|difference| labelled(name.into(), &difference)));
    }
    panels.push(Panel { title: "by kind of task, the 20 seeds".into(), rows });
    let claim = Band { label: "the paper: +3.0 … +3.9".into(), ends: CLAIM };
    forest("GTPO − the paper's GRPO baseline", panels, Some(claim))
}
