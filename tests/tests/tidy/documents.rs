//! Checks claims of documents: links lead somewhere, recipes exist, named tests exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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

/// The anchor that a heading gets: letters, digits and hyphens, in lower case.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn anchors_lead_to_headings() {
    let documents = documents();
    let headings = |text: &str| {
        let heads = text.lines().filter(|line| line.starts_with('#'));
        heads.map(|line| anchor(line.trim_start_matches('#'))).collect::<BTreeSet<_>>()
    };
    let place = |file: &TextFile| root().join(&file.path).canonicalize().expect("a tracked file");
    let known: BTreeMap<PathBuf, BTreeSet<String>> =
        documents.iter().map(|file| (place(file), headings(&file.text))).collect();
    let mut findings = Vec::new();
    for file in &documents {
        let own = place(file);
        let folder = own.parent().expect("a file has a folder");
        let links = between(&file.text, "](", ')').filter(|target| !target.contains("://"));
        for (path, anchor) in links.filter_map(|target| target.split_once('#')) {
            let target = if path.is_empty() { own.clone() } else { folder.join(path) };
            let target = target.canonicalize().unwrap_or(target);
            if known.get(&target).is_some_and(|headings| !headings.contains(anchor)) {
                findings.push(format!("{}: {path}#{anchor}", file.path));
            }
        }
    }
    report(&findings, "links to headings that aren't there");
    assert_eq!(anchor(" Beside PyTorch, with the `floor`"), "beside-pytorch-with-the-floor");
}

#[test]
fn the_readme_is_short() {
    let lines = std::fs::read_to_string(root().join("README.md")).expect("README.md").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines: move details to docs/");
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
fn keys_in_documents_are_those_of_a_run_file() {
    let file = root().join("configs/tiny.toml");
    let mut findings = Vec::new();
    for document in ["PAPERS.md", "README.md"] {
        let keys = keys(&std::fs::read_to_string(root().join(document)).expect(document));
        assert!(keys.len() > 20, "{document} has a column of keys");
        let wrong = |(line, key): &(usize, String)| {
            let set = match key.split_once(" = ") {
                Some((key, value)) => format!("{key}={value}"),
                None => format!("{key}=\"?\""),
            };
            let error = load::<RunConfig>(Some(&file), &[], &[set]).err()?.to_string();
            // A known key refuses the value `?`. An unknown key, or a choice that doesn't exist, is a
            // finding.
            let known = !error.contains("unknown key")
                && (!error.contains("unknown choice") || error.contains("`?`"));
            (!known).then(|| format!("{document}:{line}: {key}: {error}"))
        };
        findings.extend(keys.iter().filter_map(wrong));
    }
    report(&findings, "keys that a run file doesn't have");
}

/// The front page of the API documentation is that of the binary, which isn't named there.
#[test]
fn the_front_page_names_every_crate_once() {
    let page = std::fs::read_to_string(root().join("crates/cli/src/main.rs")).expect("the front page");
    let crates = std::fs::read_dir(root().join("crates")).expect("the folder of crates");
    let names = crates.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let count = |name: &str| page.matches(&format!("[`turnwise_{name}`](")).count();
    let wrong = names.filter(|name| name != "cli").filter_map(|name| match count(&name) {
        1 => None,
        count => Some(format!("{name}: {count} times")),
    });
    report(&wrong.collect::<Vec<_>>(), "crates that aren't once on the front page");
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
