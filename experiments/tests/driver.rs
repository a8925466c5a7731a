//! Holds the driver as a process: it obeys signals, and survives readers that leave.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn driver(folder: &Path, arguments: &[&str]) -> Command {
    let mut driver = Command::new(env!("CARGO_BIN_EXE_experiment"));
    driver.arg("--folder").arg(folder).args(["run", "e1"]).args(arguments);
    driver.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    driver
}

fn wait_for(path: &Path) {
    let end = Instant::now() + Duration::from_mins(1);
    while !path.exists() {
        assert!(Instant::now() < end, "{} doesn't come", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_reader_that_leaves_does_not_end_in_a_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut listing = driver(folder, &["--dry-run"]).spawn().unwrap();
    drop(listing.stdout.take());
    let output = listing.wait_with_output().unwrap();
    assert!(output.status.success() && !text(&output).contains("panicked"), "{}", text(&output));
}

/// A program in place of `turnwise`, which reports that it runs and that it was told to end.
#[test]
fn a_signal_reaches_the_running_program_and_no_run_counts_as_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (program, runs, told) =
        (folder.path().join("program"), folder.path().join("runs"), folder.path().join("told"));
    // A plan that registers no program.
    let plan = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut table: toml::Table = std::fs::read_to_string(plan.join("plan.toml")).unwrap().parse().unwrap();
    table["experiments"]["e1"].as_table_mut().unwrap().remove("programs");
    std::fs::write(folder.path().join("plan.toml"), toml::to_string(&table).unwrap()).unwrap();
    std::fs::copy(plan.join("arithmetic.toml"), folder.path().join("arithmetic.toml")).unwrap();
    let script = format!(
        "#!/bin/sh\ntrap 'touch {}; exit 1' TERM\ntouch {}\nwhile :; do sleep 0.01; done\n",
        told.display(),
        runs.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = driver(folder.path(), &["--jobs", "1"]);
    command.arg("--binary").arg(&program).arg("--scratch").arg(folder.path().join("scratch"));
    let driver = command.spawn().unwrap();
    wait_for(&runs);
    kill_process(Pid::from_child(&driver), Signal::TERM).unwrap();
    let output = driver.wait_with_output().unwrap();
    assert!(told.exists() && output.status.code() == Some(1), "{}", text(&output));
    assert!(text(&output).contains("stopped; the same command goes on"), "{}", text(&output));
    assert!(!text(&output).contains("failed"), "{}", text(&output));
    assert!(!folder.path().join("data/e1.jsonl").exists());
}
