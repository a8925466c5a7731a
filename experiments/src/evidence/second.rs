//! Shows the second round: the headroom of each kind of tasks, and the contrasts that plan.toml registers.

use anyhow::Result;

use super::Page;
use super::paired::{Difference, described, difference_in, interaction_in};
use super::runs::Runs;
use super::tables::{percent, points, table};
use crate::held_out::{Digits, kind_name};
use crate::plan::{Contrast, Measure, Plan};
use crate::record::Record;

/// Accuracy below which more rollouts leave no room for an estimator.
const LEAST: f64 = 0.015;

/// Family, kinds and their name, for the table of headroom.
const KINDS: [(&str, &str, &str); 5] = [
    ("arithmetic", "", "all"),
    ("names", "", "all"),
    ("programs", "", "all"),
    ("programs", "t", "constants told"),
    ("programs", "h", "hidden constant"),
];

/// The complete experiments of the second round.
pub(super) fn show(page: &mut Page, plan: &Plan) -> Result<()> {
    if let Some(runs) = Runs::of(plan, "e1")? {
        page.head("Headroom");
        page.add(
            "The baseline with more rollouts of each task, at equal updates and rates. Headroom is what 32 gain over 8; below 1.5 points \
             a kind can't show what an estimator does.",
        );
        page.add(&headroom(&runs));
        page.add(&super::kinds::shares(&runs));
    }
    let mut sets: Vec<&str> = plan.contrasts.iter().map(|contrast| contrast.holm.as_str()).collect();
    sets.dedup();
    for set in sets {
        contrasts(page, plan, set)?;
    }
    Ok(())
}

fn gain(runs: &Runs, family: &str, kinds: &str, method: &str) -> Option<Difference> {
    let value = |record: &Record| record.held_out.share(kinds, Digits::Right);
    difference_in(&runs.get(family, "grpo_min"), &runs.get(family, method), value)
}

/// Writes a row per kind of tasks: what the baseline gains by more rollouts.
pub(super) fn headroom(runs: &Runs) -> String {
    let row = |(family, kinds, name): &(&str, &str, &str)| {
        let at_eight: Vec<f64> = runs
            .get(family, "grpo_min")
            .iter()
            .filter_map(|record| record.held_out.share(kinds, Digits::Right))
            .collect();
        let gains = ["grpo_min_16", "grpo_min_32"].map(|method| gain(runs, family, kinds, method));
        let [sixteen, thirty_two] = gains;
        let (sixteen, thirty_two) = (sixteen?, thirty_two?);
        let cell =
            |d: &Difference| format!("{} ({} … {})", points(d.points), points(d.t.low), points(d.t.high));
        Some(vec![
            (*family).into(),
            (*name).into(),
            thirty_two.seeds.to_string(),
            percent(turnwise_stats::mean(&at_eight)),
            cell(&sixteen),
            cell(&thirty_two),
            if thirty_two.points < LEAST { "none" } else { "yes" }.into(),
        ])
    };
    let rows: Vec<Vec<String>> = KINDS.iter().filter_map(row).collect();
    table(&["family", "kind", "seeds", "8 rollouts", "16 − 8", "32 − 8", "headroom"], &rows)
}

/// Returns the registered contrasts of one set, once all of its experiments are complete.
fn contrasts(page: &mut Page, plan: &Plan, set: &str) -> Result<()> {
    let (mut found, mut without) = (Vec::new(), Vec::new());
    let headroom = Runs::of(plan, "e1")?;
    for contrast in plan.contrasts.iter().filter(|contrast| contrast.holm == set) {
        let Some(runs) = Runs::of(plan, &contrast.experiment)? else { return Ok(()) };
        let Some(difference) = of_contrast(&runs, contrast) else { continue };
        let gain = headroom
            .as_ref()
            .filter(|_| contrast.measure != Measure::Turns)
            .and_then(|runs| gain(runs, &contrast.family, &contrast.kinds, "grpo_min_32"));
        if gain.is_some_and(|gain| gain.points < LEAST) {
            without.push(difference);
        } else {
            found.push(difference);
        }
    }
    page.head(&format!("Registered contrasts, {set}"));
    page.test(set, &found);
    if !without.is_empty() {
        page.add("On kinds without headroom, not tested:");
        page.add(&described(&without));
    }
    Ok(())
}

fn of_contrast(runs: &Runs, contrast: &Contrast) -> Option<Difference> {
    let kinds = contrast.kinds.as_str();
    let value = |record: &Record| match contrast.measure {
        Measure::Right => record.held_out.share(kinds, Digits::Right),
        Measure::Strict => record.held_out.share(kinds, Digits::Strict),
        // A hundredth of a turn is shown as a point.
        Measure::Turns => Some(record.held_out.turns),
    };
    let family = contrast.family.as_str();
    let of = |family: &str| [runs.get(family, &contrast.baseline), runs.get(family, &contrast.method)];
    let [baseline, method] = of(family);
    let mut found = match &contrast.less {
        None => difference_in(&baseline, &method, value),
        Some(less) => {
            let [other_baseline, other_method] = of(less);
            interaction_in([&other_baseline, &other_method], [&baseline, &method], value)
        }
    }?;
    let names: Vec<String> = kinds.chars().map(|kind| kind_name(family, kind)).collect();
    found.family = std::iter::once(family.to_string()).chain(names).collect::<Vec<_>>().join(", ");
    if contrast.measure == Measure::Turns {
        found.name += ", hundredths of a turn";
    }
    if let Some(less) = &contrast.less {
        found.name = format!("{}, less that of {less}", found.name);
    }
    (found.kinds, found.measure) = (kinds.into(), contrast.measure);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::COLD_START;
    use crate::record::{append, tests::record};

    /// Makes a folder with the committed plan whose experiments `e1` and `e2` have two seeds of one family.
    fn folder() -> (tempfile::TempDir, Plan) {
        let folder = tempfile::tempdir().unwrap();
        let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plan.toml");
        let mut plan: toml::Table = std::fs::read_to_string(committed).unwrap().parse().unwrap();
        for name in ["e1", "e2"] {
            let experiment = plan["experiments"][name].as_table_mut().unwrap();
            experiment.insert("families".into(), vec!["programs"].into());
            experiment.insert("seeds".into(), 2.into());
        }
        let experiment = plan["experiments"]["e2"].as_table_mut().unwrap();
        experiment.insert("methods".into(), vec!["grpo", "grpo_floor", "no_shaping", "gtpo"].into());
        let contrasts = plan["contrasts"].as_array_mut().unwrap();
        contrasts.retain(|contrast| contrast["family"].as_str() == Some("programs"));
        std::fs::write(folder.path().join("plan.toml"), toml::to_string(&plan).unwrap()).unwrap();
        let plan = Plan::read(folder.path()).unwrap();
        (folder, plan)
    }

    fn add(plan: &Plan, name: &str, method: &str, seed: u64, right: &str) {
        let mut record = record(method, seed, 0.5);
        record.family = "programs".into();
        record.rate = if method == COLD_START { 0.0 } else { 1e-4 };
        (record.held_out.right, record.held_out.kinds) = (right.into(), "th".into());
        append(&plan.data(name), &record).unwrap();
    }

    #[test]
    fn a_contrast_without_headroom_is_not_tested() {
        let (_folder, plan) = folder();
        let shown = || {
            let mut page = Page::default();
            show(&mut page, &plan).unwrap();
            page.text
        };
        for seed in 92..94 {
            for (method, right) in
                [(COLD_START, "10"), ("grpo_min", "40"), ("grpo_min_16", "50"), ("grpo_min_32", "70")]
            {
                add(&plan, "e1", method, seed, right);
            }
        }
        let page = shown();
        assert!(page.contains("| programs | constants told | 2 | 50.0 % | +12.5"), "{page}");
        assert!(page.contains(
            "| programs | hidden constant | 2 | 0.0 % | 0.0 (0.0 … 0.0) | 0.0 (0.0 … 0.0) | none |"
        ));
        assert!(!page.contains("Registered contrasts"), "e2 isn't there");
        for seed in 40..42 {
            let noise = seed - 40;
            for (method, right) in [
                (COLD_START, "10"),
                ("grpo", "40"),
                ("grpo_floor", "41"),
                ("no_shaping", "50"),
                ("gtpo", &format!("{}0", 3 + noise)),
            ] {
                add(&plan, "e2", method, seed, right);
            }
        }
        let page = shown();
        let (tested, described) = page.split_once("On kinds without headroom").unwrap();
        assert!(tested.contains("| programs | gtpo − no_shaping | 2 | −9.4 |"), "{page}");
        assert!(
            described.contains("| programs, hidden constant | grpo_floor − grpo | 2 | +12.5 |"),
            "{page}"
        );
    }
}
