//! Holds that equal code runs once, over the real sandbox.
#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use turnwise_tools::executor::{PythonConfig, PythonExecutor, Remembering};
use turnwise_tools::{CodeSession, Executor, ExecutorFault, ExecutorInfo};
use turnwise_trajectory::{OutputStatus, ToolOutput};

fn python(workers: usize, cpu_seconds: f64, wall_seconds: f64) -> PythonExecutor {
    let config =
        PythonConfig { cpu_seconds, wall_seconds, workers: Some(workers), ..PythonConfig::default() };
    PythonExecutor::new(config).unwrap()
}

fn remembering(workers: usize) -> Remembering {
    Remembering::new(Box::new(python(workers, 0.2, 30.0)), 1 << 20)
}

/// Returns executions and answers from memory since the last call.
fn counts(executor: &Remembering) -> (u64, u64) {
    let stats = executor.take_stats();
    (stats.executions, stats.remembered)
}

const CLOCK: &str = "import time; time.perf_counter_ns()";

#[test]
fn the_same_code_runs_once_and_other_code_runs() {
    let python = remembering(1);
    for code in [CLOCK, "print(1)\n1/0", "import os; os.urandom(8)", "exit(3)", "x ="] {
        let first = python.run(code).unwrap();
        let again = python.run(code).unwrap();
        assert_eq!(again, ToolOutput { wall_ms: again.wall_ms, cpu_ms: 0.0, ..first.clone() }, "{code}");
        assert!(first.cpu_ms > 0.0 && again.wall_ms < first.wall_ms, "{first:?} {again:?}");
        assert_eq!(counts(&python), (1, 1), "{code}");
    }
    assert_ne!(python.run(CLOCK).unwrap().value, python.run(&format!("{CLOCK} ")).unwrap().value);
    assert_eq!(counts(&python), (1, 1), "a blank more is another program");
}

fn runs_each_time(python: &Remembering, code: &str, status: OutputStatus) {
    for _ in 0..3 {
        assert_eq!(python.run(code).unwrap().status, status, "{code}");
    }
    assert_eq!(counts(python), (3, 0), "{code}");
}

#[test]
fn what_limits_or_signals_had_a_part_in_runs_each_time() {
    let python = remembering(1);
    runs_each_time(&python, "while True: pass", OutputStatus::Timeout);
    runs_each_time(&python, "bytearray(1 << 40)", OutputStatus::OutOfMemory);
    runs_each_time(&python, "import ctypes; ctypes.string_at(1)", OutputStatus::Killed);
    let busy = "import signal, time\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n\
                while time.process_time() < 0.3: pass";
    runs_each_time(&python, busy, OutputStatus::Ok);

    let hasty = Remembering::new(Box::new(self::python(1, 10.0, 0.5)), 1 << 20);
    runs_each_time(&hasty, "import time; time.sleep(9)", OutputStatus::Timeout);
    let asleep = "import signal, time\nsignal.signal(16, signal.SIG_IGN)\ntime.sleep(0.6)";
    runs_each_time(&hasty, asleep, OutputStatus::Ok);
}

/// Runs code from several threads at once and returns their outputs.
fn at_once(executor: &dyn Executor, code: &str, threads: usize) -> Vec<Result<ToolOutput, ExecutorFault>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| executor.run(code))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[test]
fn twins_run_once_and_keep_no_worker_from_others() {
    let python = remembering(2);
    let slow = format!("import time; time.sleep(0.5)\n{CLOCK}");
    let outputs = std::thread::scope(|scope| {
        let twins = scope.spawn(|| at_once(&python, &slow, 6));
        std::thread::sleep(Duration::from_millis(50));
        let other = python.run("1 + 1").unwrap();
        assert!(other.value.as_deref() == Some("2") && !twins.is_finished(), "the second worker is free");
        twins.join().unwrap()
    });
    let values: Vec<Option<String>> = outputs.into_iter().map(|output| output.unwrap().value).collect();
    assert!(values[0].is_some() && values.iter().all(|value| *value == values[0]), "{values:?}");
    assert_eq!(counts(&python), (2, 5));
}

#[test]
fn twins_of_what_times_out_run_themselves() {
    let python = remembering(4);
    let outputs = at_once(&python, "while True: pass", 4);
    assert!(outputs.iter().all(|output| output.as_ref().unwrap().status == OutputStatus::Timeout));
    assert_eq!(counts(&python), (4, 0));
}

#[test]
fn memory_is_bounded() {
    let python = Remembering::new(Box::new(python(1, 0.2, 30.0)), 8 << 10);
    let code = |i: usize| format!("print('x' * {})", 500 + i);
    for i in (0..40).chain(0..40) {
        assert_eq!(python.run(&code(i)).unwrap().stdout.len(), 501 + i);
    }
    assert_eq!(counts(&python), (80, 0), "what is long ago has been forgotten");
    python.run(&code(39)).unwrap();
    assert_eq!(counts(&python), (0, 1), "and the newest hasn't");
}

#[test]
fn sessions_keep_their_own_state() {
    let python = remembering(1);
    for _ in 0..2 {
        let mut session = python.session().unwrap();
        for value in ["1", "2"] {
            let output = session.run("x = globals().get('x', 0) + 1\nx").unwrap();
            assert_eq!(output.value.as_deref(), Some(value));
        }
    }
    assert_eq!(counts(&python), (4, 0));
}

/// Python whose first executions fail, not because of the code.
struct Faulty {
    python: PythonExecutor,
    faults: AtomicU32,
    panics: AtomicU32,
}

fn takes_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

impl Executor for Faulty {
    fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let output = self.python.run(code)?;
        assert!(!takes_one(&self.panics), "the first executions panic");
        if takes_one(&self.faults) {
            return Err(ExecutorFault { backend: "faulty", message: "gone".into() });
        }
        Ok(output)
    }

    fn session(&self) -> Result<Box<dyn CodeSession>, ExecutorFault> {
        self.python.session()
    }

    fn describe(&self) -> ExecutorInfo {
        self.python.describe()
    }
}

fn faulty(faults: u32, panics: u32) -> Remembering {
    let faulty = Faulty { python: python(2, 0.2, 30.0), faults: faults.into(), panics: panics.into() };
    Remembering::new(Box::new(faulty), 1 << 20)
}

#[test]
fn a_fault_is_nobody_elses() {
    let python = faulty(2, 0);
    assert!(python.run("1").is_err() && python.run("1").is_err());
    assert_eq!(python.run("1").unwrap().value.as_deref(), Some("1"));
    assert_eq!(python.run("1").unwrap().value.as_deref(), Some("1"));

    let python = faulty(1, 0);
    let outputs = at_once(&python, "import time; time.sleep(0.2); 7", 4);
    let well = |output: &&Result<ToolOutput, ExecutorFault>| {
        output.as_ref().is_ok_and(|output| output.value.as_deref() == Some("7"))
    };
    assert_eq!(outputs.iter().filter(well).count(), 3, "{outputs:?}");
}

#[test]
fn a_panic_leaves_nobody_waiting() {
    let python = faulty(0, 1);
    let slow = "import time; time.sleep(0.2); 7";
    let ended: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| python.run(slow).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect()
    });
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 2, "one panicked, the others ran: {ended:?}");
    assert_eq!(python.run(slow).unwrap().value.as_deref(), Some("7"));
}
