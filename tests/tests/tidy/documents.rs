//! Checks claims of documents: links lead somewhere, recipes exist, named tests exist.

use std::collections::BTreeSet;

use turnwise_trainer::config::{RunConfig, load};

use crate::tree::{TextFile, report, root, tracked_text};

fn documents() -> Vec<TextFile> {
    tracked_text().into_iter().filter(|file| file.has_extension("md")).collect()
}

/// The pieces of a text between two marks.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inner, _)| inner))
}

#[test]
fn relative_links_lead_to_files() {
    let mut findings = Vec::new();
    for file in documents() {
        let folder = root().join(&file.path).parent().expect("a file has a folder").to_path_buf();
        for target in between(&file.text, "](", ')') {
            let path = target.split('#').next().expect("split yields one");
            let outside = path.is_empty() || path.contains("://");
            if !outside && !folder.join(path).exists() {
                findings.push(format!("{}: {target}", file.path));
            }
        }
    }
    report(&findings, "dead links");
}

#[test]
fn named_recipes_exist() {
    let justfile = std::fs::read_to_string(root().join("justfile")).expect("justfile");
    let head = |line: &str| line.split([':', ' ']).next().unwrap_or_default().to_string();
    let recipes: BTreeSet<String> =
        justfile.lines().filter(|l| l.contains(':') && !l.starts_with([' ', '#', '['])).map(head).collect();
    let mut findings = Vec::new();
    for file in documents() {
        let commands = file.text.lines().flat_map(|line| line.split(['`', '|', '&']));
        let named = commands.filter_map(|command| command.trim().strip_prefix("just "));
        let names = named.filter_map(|rest| rest.split_whitespace().next().filter(|_| !rest.contains(',')));
        let is_recipe = |n: &&str| n.starts_with("--") || recipes.contains(*n) || !n.is_ascii();
        findings.extend(names.filter(|n| !is_recipe(n)).map(|n| format!("{}: just {n}", file.path)));
    }
    report(&findings, "recipes that the justfile lacks");
}

/// A test is named as `path/to/file.rs::function`.
#[test]
fn named_tests_exist() {
    let mut findings = Vec::new();
    let mut named = 0;
    for file in documents() {
        for (path, function) in file.text.split('`').filter_map(|piece| piece.split_once(".rs::")) {
            named += 1;
            let text = std::fs::read_to_string(root().join(format!("{path}.rs"))).unwrap_or_default();
            if !text.contains(&format!("fn {function}(")) {
                findings.push(format!("{}: {path}.rs::{function}", file.path));
            }
        }
    }
    report(&findings, "tests that don't exist");
    assert!(named > 10, "ARCHITECTURE.md names the tests that hold its invariants");
}

/// Returns the text in back quotes in columns headed `Key` of a document's tables, with its line.
fn keys(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut column = None;
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() < 3 {
            column = None;
        } else if let Some(head) = cells.iter().position(|cell| *cell == "Key") {
            column = Some(head);
        } else if let Some(cell) = column.and_then(|column| cells.get(column)) {
            found.extend(cell.split('`').skip(1).step_by(2).map(|key| (number + 1, key.to_string())));
        }
    }
    found
}

/// A key is `a.b.c`, or `a = "choice"`.
#[test]
fn keys_in_papers_are_those_of_a_run_file() {
    let papers = std::fs::read_to_string(root().join("PAPERS.md")).expect("PAPERS.md");
    let file = root().join("configs/tiny.toml");
    let keys = keys(&papers);
    assert!(keys.len() > 30, "PAPERS.md names the key of every formula that has one");
    let wrong = |(line, key): &(usize, String)| {
        let set = match key.split_once(" = ") {
            Some((key, value)) => format!("{key}={value}"),
            None => format!("{key}=\"?\""),
        };
        let error = load::<RunConfig>(Some(&file), &[], &[set]).err()?.to_string();
        // A known key has something against the value `?`; an unknown one, or a choice that isn't there, is
        // news.
        let known =
            !error.contains("unknown key") && (!error.contains("unknown choice") || error.contains("`?`"));
        (!known).then(|| format!("PAPERS.md:{line}: {key}: {error}"))
    };
    report(&keys.iter().filter_map(wrong).collect::<Vec<_>>(), "keys that a run file doesn't have");
}

#[test]
fn every_bench_has_a_row() {
    let manifest =
        std::fs::read_to_string(root().join("benches/hot/Cargo.toml")).expect("benches/hot/Cargo.toml");
    let rows = std::fs::read_to_string(root().join("BENCHMARKS.md")).expect("BENCHMARKS.md");
    let benches = manifest.split("[[bench]]").skip(1).flat_map(|section| between(section, "name = \"", '"'));
    let missing = benches.filter(|name| !rows.contains(&format!("just bench {name}"))).map(String::from);
    report(&missing.collect::<Vec<_>>(), "benches without a row in BENCHMARKS.md");
}
