//! The import graph of the workspace: an edge that isn't in the table fails, and so does one that is there in
//! vain.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::tree::{report, root};

/// Who may import whom. Development dependencies are free.
const ALLOWED: [(&str, &[&str]); 31] = [
    ("allocator", &[]),
    ("files", &[]),
    ("json", &[]),
    ("runfile", &["files"]),
    ("trajectory", &[]),
    ("tools", &["runfile", "json", "trajectory"]),
    ("similarity", &["runfile", "trajectory", "http", "json"]),
    ("credit", &["runfile", "trajectory", "similarity"]),
    ("curriculum", &["runfile"]),
    ("diagnosis", &["trajectory", "similarity", "credit", "stats"]),
    ("datasets", &["runfile", "files", "json"]),
    ("envs", &["runfile", "datasets", "trajectory", "tools", "credit", "http", "json"]),
    ("http", &[]),
    ("listen", &[]),
    ("serve", &["listen", "json", "trajectory", "tools", "rollout"]),
    ("jinja", &[]),
    ("rollout", &["files", "trajectory", "runfile", "jinja", "tools", "envs", "http", "json"]),
    ("demonstrations", &["runfile", "json", "trajectory", "tools", "envs", "rollout"]),
    ("mcp", &["runfile", "trajectory", "tools", "envs", "http", "json"]),
    ("stats", &[]),
    ("ranks", &[]),
    ("run", &["files", "json", "trajectory", "credit", "stats"]),
    ("inspect", &["files", "json", "listen", "trajectory", "credit", "run", "stats"]),
    ("traces", &["json", "trajectory", "credit", "run"]),
    ("gguf", &["files", "jinja"]),
    ("experiments", &["inspect", "stats"]),
    ("model", &["runfile", "files", "json"]),
    ("loss", &["runfile", "credit"]),
    ("sampler", &["model", "trajectory"]),
    (
        "trainer",
        &[
            "runfile",
            "files",
            "trajectory",
            "tools",
            "similarity",
            "credit",
            "curriculum",
            "datasets",
            "envs",
            "mcp",
            "rollout",
            "serve",
            "demonstrations",
            "ranks",
            "run",
            "loss",
            "model",
            "sampler",
            "stats",
        ],
    ),
    (
        "cli",
        &[
            "allocator",
            "runfile",
            "files",
            "json",
            "trajectory",
            "tools",
            "mcp",
            "rollout",
            "serve",
            "ranks",
            "run",
            "credit",
            "diagnosis",
            "gguf",
            "inspect",
            "model",
            "sampler",
            "stats",
            "traces",
            "trainer",
        ],
    ),
];

/// The half of the workspace that builds in seconds.
const WITHOUT_BURN: [&str; 25] = [
    "runfile",
    "files",
    "json",
    "trajectory",
    "tools",
    "similarity",
    "credit",
    "curriculum",
    "diagnosis",
    "datasets",
    "envs",
    "http",
    "allocator",
    "listen",
    "serve",
    "jinja",
    "mcp",
    "rollout",
    "demonstrations",
    "ranks",
    "run",
    "stats",
    "inspect",
    "traces",
    "gguf",
];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Folder name of a member → names of everything it depends on outside tests; our own without their prefix.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let short = |name: &Value| name.as_str().expect("a name").trim_start_matches("turnwise-").to_string();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let of_package = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        all.iter().filter(|d| d["kind"].as_str() != Some("dev")).map(|d| short(&d["name"])).collect()
    };
    packages.iter().map(|package| (short(&package["name"]), of_package(package))).collect()
}

#[test]
fn imports_are_those_of_the_table() {
    let found = dependencies();
    let mut findings = Vec::new();
    for (name, allowed) in ALLOWED {
        let ours: BTreeSet<&str> =
            found[name].iter().map(String::as_str).filter(|d| found.contains_key(*d)).collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        findings.extend(ours.difference(&allowed).map(|d| format!("{name} → {d} is not allowed")));
        findings.extend(allowed.difference(&ours).map(|d| format!("{name} → {d} is allowed, but not used")));
    }
    report(&findings, "the import graph (tests/tests/tidy/imports.rs) and the manifests differ");
}

#[test]
fn every_crate_has_a_description() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let silent = packages.iter().filter(|package| package["description"].as_str().is_none_or(str::is_empty));
    report(&silent.map(|package| package["name"].to_string()).collect::<Vec<_>>(), "no description");
}

#[test]
fn every_member_is_in_the_table() {
    let known: BTreeSet<&str> =
        ALLOWED.iter().map(|(name, _)| *name).chain(["tests", "benches", "hot-paths"]).collect();
    let found = dependencies();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

/// The rows of ARCHITECTURE.md's picture of crates, from the binary down to the crates that import nothing of
/// ours.
fn rows() -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, section) = text.split_once("## Who may import whom").expect("a section about imports");
    let picture = section.split("```").nth(1).expect("a picture");
    let names = |line: &str| {
        let column = line.trim().split("  ").next().unwrap_or_default().to_string();
        column.split('·').map(|name| name.trim().to_string()).collect::<Vec<_>>()
    };
    picture.lines().skip(1).filter(|line| !line.contains('─')).map(names).collect()
}

#[test]
fn imports_go_down_the_rows_of_the_picture() {
    let rows = rows();
    let row = |name: &str| rows.iter().position(|row| row.iter().any(|crate_name| crate_name == name));
    let mut findings = Vec::new();
    for (name, imports) in ALLOWED {
        findings.extend(row(name).is_none().then(|| format!("{name} isn't in ARCHITECTURE.md's picture")));
        let up = imports.iter().filter(|import| row(import) <= row(name));
        findings.extend(up.map(|import| format!("{name} → {import} doesn't go down")));
    }
    report(&findings, "a crate imports from rows below its own");
}

#[test]
fn half_of_the_workspace_builds_without_burn() {
    let found = dependencies();
    let heavy = |d: &&String| d.starts_with("burn") || d.starts_with("cubecl");
    let uses = |name: &&str| found[*name].iter().find(heavy).map(|d| format!("{name} → {d}"));
    report(&WITHOUT_BURN.iter().filter_map(uses).collect::<Vec<_>>(), "these crates don't use tensors");
}

/// `turnwise score` computes without tensors, and without a client for servers unless its feature asks.
#[test]
fn credit_links_neither_tensors_nor_the_network() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let (mut seen, mut next) = (BTreeSet::new(), vec!["turnwise-credit".to_string()]);
    while let Some(name) = next.pop() {
        if let Some(package) = packages.iter().find(|package| package["name"] == *name) {
            let all = package["dependencies"].as_array().expect("dependencies");
            for dependency in all.iter().filter(|d| d["kind"].is_null() && d["optional"] == false) {
                let needs = dependency["name"].as_str().expect("a name").to_string();
                let plain = dependency["features"].as_array().is_some_and(Vec::is_empty);
                assert!(plain || !needs.starts_with("turnwise-"), "{name} asks for features of {needs}");
                next.push(needs);
            }
        }
        seen.insert(name);
    }
    let heavy = |name: &&String| ["burn", "turnwise-http", "ureq"].contains(&name.as_str());
    assert!(seen.contains("turnwise-similarity") && !seen.iter().any(|name| heavy(&name)), "{seen:?}");
}
