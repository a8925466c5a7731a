//! The process as its surroundings see it: terminals, signals, pipes, names of folders, processes beside it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::binary::{BINARY, arg, ran, root};
use crate::resume::signal;
use crate::runs::{Runs, steps, wait};
use crate::tui::{SMALL, on_a_terminal_named};

#[test]
fn a_dumb_terminal_shows_plain_lines() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let args = ["train", "configs/tiny.toml", "--run", arg(&run), "--set", "train.steps=2"];
    let sent = on_a_terminal_named("dumb", "", "", &[&args[..], &SMALL].concat());
    assert!(sent.ends_with("status 0 restored True\n"), "{sent}");
    for step in ["step 1/2:", "step 2/2:"] {
        assert!(sent.contains(step), "{sent}");
    }
    assert!(!sent.contains('\u{1b}'), "no sequence that moves a cursor: {sent:?}");
}

#[test]
fn signals_of_terminals_and_batch_systems_save_and_stop() {
    for name in ["HUP", "USR1", "TERM"] {
        let runs = Runs::new();
        let train = runs.command("a", &["--set", "train.steps=1000"]);
        // These tests may run under `nohup`.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(BINARY).args(train.get_args()).current_dir(root());
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait("a first step", || steps(&runs.path("a")) > 0);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert!(stderr.contains("nothing is lost"), "{name}: {stderr}");
        let saved = format!("a/checkpoints/step_{:05}/manifest.json", steps(&runs.path("a")));
        assert!(runs.path(&saved).exists(), "{name}");
    }
}

#[test]
fn nohup_keeps_a_run_going() {
    let runs = Runs::new();
    let train = runs.command("a", &["--set", "train.steps=3"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(BINARY).args(train.get_args()).current_dir(root());
    nohup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = nohup.spawn().unwrap();
    wait("a first step", || steps(&runs.path("a")) > 0);
    signal(&child, "HUP");
    assert!(child.wait().unwrap().success());
    assert_eq!(steps(&runs.path("a")), 3);
}

#[test]
fn nobody_has_to_read_stderr() {
    let runs = Runs::new();
    let mut command = runs.command("a", &["--set", "train.steps=1"]);
    // A pipe that is full from the beginning, whose other end stays open and unread.
    let (unread, full) = std::io::pipe().unwrap();
    let mut fill = Command::new("python3");
    fill.args(["-c", "import os\nos.set_blocking(2, False)\ntry:\n  while True: os.write(2, b'x' * 512)\nexcept BlockingIOError: os.set_blocking(2, True)"]);
    assert!(fill.stderr(full.try_clone().unwrap()).status().unwrap().success());
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full).status().unwrap();
    assert!(status.success());
    drop(unread);
    assert_eq!(steps(&runs.path("a")), 1);
}

#[test]
fn runs_of_one_config_that_start_at_once_get_a_folder_each() {
    let folder = tempfile::tempdir().unwrap();
    let config = root().join("configs/tiny.toml");
    let model = format!("model={:?}", arg(&root().join("models/tiny")));
    let start = || {
        let mut command = Command::new(BINARY);
        command.arg("train").arg(&config).args(SMALL).args(["--set", "train.steps=1", "--set", &model]);
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let started: Vec<_> = (0..3).map(|_| start()).collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for name in ["tiny", "tiny-2", "tiny-3"] {
        assert_eq!(steps(&folder.path().join("runs").join(name)), 1, "{name}");
    }
}

#[test]
fn a_start_that_fails_takes_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command.arg("train").arg(root().join("configs/tiny.toml")).args(["--set", "model=\"nowhere\""]);
    ran(command.current_dir(folder.path()), "").fails(1, &["nowhere"]);
    assert!(!folder.path().join("runs/tiny").exists());
}

#[test]
fn folders_need_no_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    let mut command = Command::new(BINARY);
    command.args(["train", "configs/tiny.toml", "--json", "--run"]).arg(&run).args(SMALL);
    let trained = ran(command.args(["--set", "train.steps=1"]).current_dir(root()), "");
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let told: serde_json::Value = serde_json::from_str(&trained.stdout).unwrap();
    assert!(told["run"].as_str().unwrap().ends_with("caf\u{fffd}"), "{told}");
    let mut rollout = Command::new(BINARY);
    rollout.args(["rollout", "--config", "configs/tiny.toml", "--set", "eval.tasks=1", "--model"]);
    let played = ran(rollout.arg(run.join("checkpoints/step_00001")).current_dir(root()), "");
    assert_eq!(played.code, Some(0), "{}", played.stderr);
}
