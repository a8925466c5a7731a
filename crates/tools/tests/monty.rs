//! Holds results, sessions and faults of the embedded executor.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use turnwise_tools::Executor;
use turnwise_tools::executor::{MontyConfig, MontyExecutor};
use turnwise_trajectory::OutputStatus::{self, Error, Killed, Ok, OutOfMemory, Rejected, Timeout};

/// The test harness can't serve as a worker.
fn config() -> MontyConfig {
    let program = Some(env!("CARGO_BIN_EXE_monty-worker").into());
    MontyConfig { cpu_seconds: 0.3, wall_seconds: 20.0, memory_mib: 64, program, ..MontyConfig::default() }
}

/// One test kills every worker of this process.
static WORKERS: RwLock<()> = RwLock::new(());

fn start() -> (impl Drop, MontyExecutor) {
    let shared = WORKERS.read().unwrap_or_else(PoisonError::into_inner);
    (shared, MontyExecutor::new(config()).unwrap())
}

fn check(
    executor: &MontyExecutor,
    code: &str,
    status: OutputStatus,
    stdout: &str,
    value: Option<&str>,
    error: Option<&str>,
) {
    let output = executor.run(code).unwrap();
    let found = (output.status, output.stdout.as_str(), output.value.as_deref(), output.error.as_deref());
    assert_eq!(found, (status, stdout, value, error), "{code}");
}

#[test]
fn code_gives_what_it_prints_and_its_last_value() {
    let (_shared, monty) = start();
    check(&monty, "", Ok, "", None, None);
    check(&monty, "print(6 * 7)", Ok, "42\n", None, None);
    check(&monty, "x = 20\nx + 1", Ok, "", Some("21"), None);
    check(&monty, "print('a', 'b')\n'é😀'", Ok, "a b\n", Some("'é😀'"), None);
    check(
        &monty,
        "def f(n):\n  return n if n < 2 else f(n - 1) + f(n - 2)\nf(15)",
        Ok,
        "",
        Some("610"),
        None,
    );
    check(&monty, "import math\nmath.factorial(20)", Ok, "", Some("2432902008176640000"), None);
    check(&monty, "print(1)\n1/0", Error, "1\n", None, Some("ZeroDivisionError: division by zero"));
    check(&monty, "x", Error, "", None, Some("NameError: name 'x' is not defined"));
}

#[test]
fn the_same_code_gives_the_same_bits() {
    let code = "print([hash(s) for s in ('a', 'b')], {'a', 'b', 'c'}, 0.1 + 0.2)";
    let (_shared, one) = start();
    let other = MontyExecutor::new(config()).unwrap();
    let output = one.run(code).unwrap().stdout;
    assert_eq!(one.run(code).unwrap().stdout, output);
    assert_eq!(other.run(code).unwrap().stdout, output, "another executor");
}

#[test]
fn a_session_keeps_its_state_and_plain_runs_see_none_of_it() {
    let (_shared, monty) = start();
    let mut session = monty.session().unwrap();
    let mut cell = |code: &str, status, value: Option<&str>| {
        let output = session.run(code).unwrap();
        assert_eq!((output.status, output.value.as_deref()), (status, value), "{code}: {output:?}");
    };
    cell("x = [1, 2]", Ok, None);
    cell("x.append(3)\nsum(x)", Ok, Some("6"));
    cell("1 / 0", Error, None);
    cell("while True: pass", Timeout, None);
    cell("sum(x)", Ok, Some("6"));
    check(&monty, "x", Error, "", None, Some("NameError: name 'x' is not defined"));
}

/// Each must end in bounded time with one of these statuses, and leave the next execution clean.
const HOSTILE: &[(&str, &[OutputStatus])] = &[
    ("while True: pass", &[Timeout]),
    ("while True:\n  try:\n    while True: pass\n  except BaseException: pass", &[Timeout]),
    ("10 ** (10 ** 9)", &[Timeout, OutOfMemory, Error]),
    ("x = []\nwhile True: x.append('a' * 100000)", &[OutOfMemory, Timeout]),
    ("s = 'a'\nwhile True: s += s", &[OutOfMemory, Timeout]),
    ("bytes(10 * 2 ** 30)", &[OutOfMemory]),
    ("[0] * 10 ** 12", &[OutOfMemory]),
    ("def f(): return f()\nf()", &[Error]),
    ("(", &[Error]),
    ("x = 0\nwhile True:\n  print('x' * 1000)", &[Timeout]),
    ("open('/etc/passwd').read()", &[Error]),
    ("import os\nos.fork()", &[Error]),
    ("import os\nos.environ['HOME']", &[Error]),
    ("import socket", &[Error]),
    ("import subprocess", &[Error]),
    ("import ctypes", &[Error]),
    ("__import__('os').system('true')", &[Error]),
    ("eval('1')", &[Ok, Error]),
    ("x = []\nfor _ in range(100000): x = [x]\nx", &[Ok, Error, Killed, OutOfMemory, Timeout]),
    ("import re\nre.match('(a+)+$', 'a' * 40 + 'b')", &[Timeout, Ok, Error]),
    ("not Python at all", &[Error]),
];

#[test]
fn hostile_code_is_contained() {
    let (_shared, monty) = start();
    for (code, ends) in HOSTILE.iter().chain(&[(DEEP.as_str(), &[Error, Killed, OutOfMemory] as &[_])]) {
        let started = Instant::now();
        let output = monty.run(code).unwrap();
        let shown = format!("{code:.60}: {:?} {:?}", output.status, output.error);
        assert!(ends.contains(&output.status), "{shown}");
        assert!(started.elapsed() < Duration::from_secs(15), "{shown} took {:?}", started.elapsed());
        assert!(output.stdout.len() <= config().output_bytes + 100, "{shown}");
        check(&monty, "6 * 7", Ok, "", Some("42"), None);
    }
}

static DEEP: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)));

#[test]
fn executions_are_counted_and_the_layers_named() {
    let (_shared, monty) = start();
    for code in ["1", "while True: pass", "bytes(10 ** 12)"] {
        monty.run(code).unwrap();
    }
    let stats = monty.take_stats();
    assert_eq!(
        (stats.executions, stats.timeouts, stats.out_of_memory, stats.faults),
        (3, 1, 1, 0),
        "{stats:?}"
    );
    let info = monty.describe();
    assert!(info.python_version.as_ref().is_some_and(|version| version.starts_with("3.")), "{info:?}");
    assert_eq!((info.backend.as_str(), info.isolation[0].as_str()), ("monty", "interpreter"));
    assert_eq!(info.missing.is_empty(), cfg!(target_os = "linux"), "{info:?}");
}

#[test]
fn a_killed_worker_is_a_fault_that_a_fresh_one_makes_good() {
    let _alone = WORKERS.write().unwrap_or_else(PoisonError::into_inner);
    let monty = MontyExecutor::new(MontyConfig { workers: Some(1), ..config() }).unwrap();
    let own = std::process::id().to_string();
    let children =
        || std::process::Command::new("pgrep").args(["-P", &own, "monty-worker"]).output().unwrap();
    let before = String::from_utf8(children().stdout).unwrap();
    for pid in before.split_whitespace() {
        assert!(std::process::Command::new("kill").args(["-9", pid]).status().unwrap().success());
    }
    check(&monty, "1 + 1", Ok, "", Some("2"), None);
    assert!(monty.take_stats().faults > 0);
}

#[test]
fn a_cell_that_had_to_be_killed_ends_its_session() {
    let _shared = WORKERS.read().unwrap_or_else(PoisonError::into_inner);
    let monty =
        MontyExecutor::new(MontyConfig { wall_seconds: 0.01, cpu_seconds: 60.0, ..config() }).unwrap();
    let mut session = monty.session().unwrap();
    assert_eq!(session.run("while True: pass").unwrap().status, Timeout);
    assert_eq!(session.run("1").unwrap().status, Rejected);
}

#[test]
fn a_program_that_does_not_serve_is_named() {
    let error =
        MontyExecutor::new(MontyConfig { program: Some("/bin/true".into()), ..config() }).unwrap_err();
    assert!(error.message.starts_with("the program doesn't serve as a worker"), "{error}");
    let error = MontyExecutor::new(MontyConfig { cpu_seconds: 0.0, ..config() }).unwrap_err();
    assert_eq!(error.message, "cpu_seconds is 0, expected a number from 0.001 to 3600000");
}
