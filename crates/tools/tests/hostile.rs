//! Runs programs that try to break out, to hang, to leak or to lie. Each must end in bounded time with the
//! right status, leave no process and no file, and leave the executor unchanged.
#![cfg(target_os = "linux")]

mod machine;
mod programs;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use turnwise_tools::Executor;
use turnwise_tools::executor::{Isolation, PythonConfig, PythonExecutor};

use machine::setting::{Setting, User, again};
use programs::{PROGRAMS, Program};

/// Returns limits that keep the whole table quick.
fn config() -> PythonConfig {
    PythonConfig { cpu_seconds: 0.2, wall_seconds: 1.0, memory_mib: 256, ..PythonConfig::default() }
}

/// Wall time within which every program must be over: its limit, and slack for a loaded machine.
const BOUND: Duration = Duration::from_secs(15);

/// Returns the broken claims of a program, or nothing if it was contained.
fn check(executor: &PythonExecutor, program: &Program) -> Vec<String> {
    let files = machine::files_of_interest();
    let started = Instant::now();
    let output = match executor.run(program.code) {
        Ok(output) => output,
        Err(fault) => return vec![fault.to_string()],
    };
    let took = started.elapsed();
    let next = executor.run("import os; print(6 * 7, os.environ.get('MARK'), 'leak' in globals())");
    let claims = [
        (took < BOUND, format!("took {took:?}")),
        (program.ends.contains(&output.status), "has another status".into()),
        (output.stdout.contains(program.prints), "doesn't print what it should".into()),
        (!output.stdout.contains("BROKE OUT"), "broke out".into()),
        (output.stdout.len() <= config().output_bytes + 100, "prints too much".into()),
        (
            output.value.as_ref().is_none_or(|v| v.len() <= config().output_bytes + 3),
            "has a huge value".into(),
        ),
        (machine::files_of_interest() == files, "left a file".into()),
        (machine::children_besides_zygotes().is_empty(), "left a process".into()),
        (
            next.as_ref().is_ok_and(|next| next.stdout == "42 None False\n"),
            format!("broke the next: {next:?}"),
        ),
    ];
    let shown = format!("{:?} {:?} {:.60}", output.status, output.error, output.stdout);
    claims
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, what)| format!("{}: {what}: {shown}", program.name))
        .collect()
}

/// Processes are counted from outside, so only one test may have any at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs the table in this process. The tests below run it again in others.
#[test]
fn every_hostile_program_is_contained() {
    let _alone = alone();
    let setting = Setting::enter();
    let executor = setting.python(config()).unwrap();
    let info = executor.describe();
    assert!(info.level >= Some(Isolation::Files), "{info}");
    assert!(info.isolation.contains(&"threads".to_string()), "{info}");
    if setting == Setting::Container {
        assert_eq!(info.level, Some(Isolation::Files), "{info}");
        let reasons =
            ["namespaces: unshare: Operation not permitted (os error 1)", "pid_namespace: needs namespaces"];
        assert_eq!(info.missing, reasons);
    }
    assert!(PROGRAMS.len() >= 40);
    let wrong: Vec<String> = PROGRAMS.iter().flat_map(|program| check(&executor, program)).collect();
    assert!(wrong.is_empty(), "{setting:?} with {info:?}:\n{}", wrong.join("\n"));
    drop(executor);
    assert_eq!(machine::children(), Vec::<String>::new(), "the executor left a process");
}

fn contained(user: User, setting: Setting) {
    let _alone = alone();
    again("every_hostile_program_is_contained", user, setting, &[]);
}

#[test]
fn for_an_ordinary_user() {
    contained(User::Nobody, Setting::Here);
}

#[test]
fn in_a_container_that_denies_namespaces() {
    contained(User::Same, Setting::Container);
}

#[test]
fn for_an_ordinary_user_in_a_container() {
    contained(User::Nobody, Setting::Container);
}

#[test]
fn with_a_landlock_that_knows_no_signals() {
    contained(User::Same, Setting::Landlock(5));
}

#[test]
fn for_an_ordinary_user_with_a_landlock_that_knows_no_signals() {
    contained(User::Nobody, Setting::Landlock(5));
}

#[test]
fn for_an_ordinary_user_with_the_first_landlock() {
    contained(User::Nobody, Setting::Landlock(1));
}

#[test]
fn for_root_that_may_not_signal_others() {
    contained(User::Same, Setting::Without("kill"));
}

#[test]
fn for_root_without_capabilities() {
    contained(User::Same, Setting::Without("all"));
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
