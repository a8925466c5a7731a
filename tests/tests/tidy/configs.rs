//! Shipped run files load.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use turnwise_trainer::config::{Consistent, RunConfig, SftConfig, load, to_toml};

use crate::tree::{report, root};

fn shipped() -> Vec<PathBuf> {
    let folders = ["configs", "experiments", "experiments/gsm8k"];
    let entries = folders.map(|folder| std::fs::read_dir(root().join(folder)).expect(folder));
    let paths = entries.into_iter().flatten().map(|entry| entry.expect("an entry of the folder").path());
    // The driver's own files.
    let is_run_file =
        |path: &PathBuf| !["Cargo.toml", "plan.toml", "rates.toml"].iter().any(|n| path.ends_with(n));
    paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).filter(is_run_file).collect()
}

/// Loads a file as `C` and once more from what it resolved to.
fn loads<C: DeserializeOwned + Consistent + Serialize + PartialEq>(path: &Path) -> Result<(), String> {
    let config: C = load(Some(path), &[], &[]).map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let resolved = folder.path().join("resolved.toml");
    std::fs::write(&resolved, to_toml(&config)).expect("a file");
    let again: C = load(Some(&resolved), &[], &[]).map_err(|error| format!("resolved: {error}"))?;
    if again == config { Ok(()) } else { Err("the resolved file says something else".into()) }
}

#[test]
fn every_shipped_config_loads() {
    let paths = shipped();
    assert!(!paths.is_empty(), "configs/ holds run files");
    let findings = paths.iter().filter_map(|path| {
        let run = loads::<RunConfig>(path).err()?;
        let cold_start = loads::<SftConfig>(path).err()?;
        Some(format!("as a run: {run}\n  as a cold start: {cold_start}"))
    });
    report(&findings.collect::<Vec<_>>(), "configs that don't load");
}
