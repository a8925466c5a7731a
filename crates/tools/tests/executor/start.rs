//! The start of an executor: the isolation that the machine gives it, and what it refuses.

use std::process::Command;

use turnwise_tools::Executor;
use turnwise_tools::executor::{Isolation, PythonConfig, PythonExecutor};
use turnwise_trajectory::OutputStatus::{Error, Ok, OutOfMemory};

use crate::cell;
use crate::machine::python::{alone, check, start};
use crate::machine::setting::skip;

fn refused(config: PythonConfig, expect: &str) {
    let error = PythonExecutor::new(config).unwrap_err().to_string();
    assert!(error.starts_with(expect) && error.contains("; hint: ") && !error.contains('\n'), "{error}");
}

/// Runs as in a root directory without /proc.
#[test]
fn without_proc_it_runs_and_says_what_is_missing() {
    let _alone = alone();
    let name = "start::without_proc_it_runs_and_says_what_is_missing";
    if std::path::Path::new("/proc/self").exists() {
        let binary = std::env::current_exe().unwrap();
        let hide = "mount -t tmpfs none /proc && exec \"$0\" --exact \"$1\" --nocapture";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", hide]).arg(binary).arg(name);
        return match command.output() {
            Result::Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
                if said.contains("unshare failed") || said.contains("mount: ") {
                    return skip(name, "it takes a mount namespace");
                }
                assert!(output.status.success() && said.contains("1 passed"), "{said}");
            }
            Err(_) => skip(name, "it takes the program unshare"),
        };
    }
    let python = start();
    let missing = python.describe().missing.join("\n");
    for reason in [
        "namespaces: writing /proc/self/uid_map: No such file or directory (os error 2)",
        "pid_namespace: needs namespaces",
        "oom_score: No such file or directory (os error 2)",
    ] {
        assert!(missing.contains(reason), "{missing}");
    }
    assert_eq!(python.describe().level, Some(Isolation::Files));
    check(&python, "print(6 * 7)", Ok, "42\n", None, None);
    let threads = "import threading\nfor _ in range(20):\n t = threading.Thread(target=print, args='.')\n t.start()\n t.join()";
    check(&python, threads, Ok, &".\n".repeat(20), None, None);
    let output = python.run("x = bytearray(600 << 20)").unwrap();
    assert_eq!(output.status, OutOfMemory, "the limit counts what was there before");
    let mut session = python.session().unwrap();
    cell(&mut *session, "x = 1", Ok, None);
    cell(&mut *session, "x", Ok, Some("1"));
}

/// Root may lack the right to change its user, or to signal that user's processes, in a container without
/// capabilities.
#[test]
fn root_that_can_not_become_nobody_says_so() {
    let _alone = alone();
    let name = "start::root_that_can_not_become_nobody_says_so";
    let Result::Ok(reason) = std::env::var("TURNWISE_TEST_REFUSED") else {
        if std::os::unix::fs::MetadataExt::uid(
            &std::fs::metadata(tempfile::tempdir().unwrap().path()).unwrap(),
        ) != 0
        {
            return skip(name, "it takes root");
        }
        let refused = "Operation not permitted (os error 1)";
        for (capabilities, step) in [("-all", "setgroups"), ("-kill", "signals to another user")] {
            let mut command = Command::new("setpriv");
            command.args(["--bounding-set", capabilities, "--inh-caps", capabilities]);
            command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
            command.env("TURNWISE_TEST_REFUSED", format!("dropped_root: {step}: {refused}"));
            let Result::Ok(output) = command.output() else {
                return skip(name, "it takes the program setpriv");
            };
            let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
        }
        return;
    };
    let python = start();
    let info = python.describe();
    assert!(info.missing.contains(&reason), "{info}");
    assert!(info.level >= Some(Isolation::Files), "{info}");
    let denied = Some("PermissionError: [Errno 13] Permission denied: '/etc/shadow'");
    check(&python, "open('/etc/shadow')", Error, "", None, denied);
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    let _alone = alone();
    let default = PythonConfig::default;
    refused(
        PythonConfig { interpreter: Some("/nowhere/python3".into()), ..default() },
        "executor python: no usable python3 (/nowhere/python3: No such file or directory",
    );
    refused(
        PythonConfig { cpu_seconds: 0.0, ..default() },
        "executor python: cpu_seconds is 0, expected a number from 0.001 to 3600000",
    );
    refused(
        PythonConfig { cpu_seconds: f64::NAN, ..default() },
        "executor python: cpu_seconds is nan, expected a number from 0.001 to",
    );
    refused(
        PythonConfig { workers: Some(0), ..default() },
        "executor python: workers is 0, expected a whole number from 1 to 4096",
    );
    let error =
        PythonExecutor::new(PythonConfig { imports: vec!["nowhere".into()], ..default() }).unwrap_err();
    assert!(error.message.contains("ModuleNotFoundError: No module named 'nowhere'"), "{error}");
}

#[test]
fn a_demanded_level_is_reached_or_refused() {
    let _alone = alone();
    let config = PythonConfig { isolation: Isolation::Full, ..PythonConfig::default() };
    // The level depends on the machine. That it's never below the demand doesn't.
    match PythonExecutor::new(config) {
        Result::Ok(python) => assert!(python.describe().missing.is_empty()),
        Err(error) => assert!(error.message.starts_with("isolation full is demanded"), "{error}"),
    }
}
