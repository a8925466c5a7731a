//! `turnwise init`, `completions`, `man`.

use std::process::Command;

use crate::binary::{arg, turnwise};

#[test]
fn init_writes_a_run_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.toml");
    let args = ["init", arg(&path), "--model", "models/tiny", "--env", "arithmetic"];
    assert_eq!(turnwise(&args, "").code, Some(0));
    let resolved = turnwise(&["train", arg(&path), "--dry-run"], "");
    assert!(resolved.stdout.contains("[env.arithmetic]\n"), "{}", resolved.stderr);
    turnwise(&args, "").fails(1, &["my.toml: exists already", "hint: "]);
    let printed = turnwise(&["init", "--model", "models/tiny", "--env", "lookup"], "");
    assert!(printed.stdout.contains("[env.lookup]\n") && printed.stdout.contains("the model's context is"));
    turnwise(&["init", "--model", "models/tiny", "--env", "chess"], "")
        .fails(2, &["--env chess", "one of arithmetic"]);
    turnwise(&["init", "--model", "models", "--env", "lookup"], "").fails(1, &["models/config.json"]);
}

#[test]
fn shells_complete_and_the_manual_has_a_page_per_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = turnwise(&["completions", shell], "");
        assert!(script.code == Some(0) && script.stdout.contains("report"), "{shell}");
        if shell == "bash" {
            let words = "COMP_WORDS=(turnwise trai); COMP_CWORD=1; _turnwise turnwise trai turnwise; echo ${COMPREPLY[@]}";
            let said =
                Command::new("bash").args(["-c", &format!("{}\n{words}", script.stdout)]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "train", "{said:?}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(turnwise(&["man", "--out", arg(folder.path())], "").code, Some(0));
    let page = std::fs::read_to_string(folder.path().join("turnwise-train.1")).unwrap();
    assert!(page.contains(".TH ") && page.contains("The run file"), "{page}");
    assert!(turnwise(&["man"], "").stdout.contains(".SH SUBCOMMANDS"));
}
