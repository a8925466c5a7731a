//! Sessions: what they keep, what ends them, and what they hold together.

use turnwise_tools::Executor;
use turnwise_tools::executor::{PythonConfig, PythonExecutor};
use turnwise_trajectory::OutputStatus::{Error, Killed, Ok, OutOfMemory, Rejected, Timeout};

use crate::cell;
use crate::machine::children_besides_zygotes;
use crate::machine::python::{alone, check, start};

#[test]
fn a_session_keeps_its_state_over_soft_limits() {
    let _alone = alone();
    let python = start();
    let mut session = python.session().unwrap();
    cell(&mut *session, "x = [1, 2]\ndef f(): return sum(x)", Ok, None);
    cell(&mut *session, "x.append(3); f()", Ok, Some("6"));
    cell(&mut *session, "1 / 0", Error, None);
    cell(&mut *session, "while True: pass", Timeout, None);
    cell(&mut *session, "import time; time.sleep(60)", Timeout, None);
    cell(&mut *session, "y = [0] * 10 ** 12", OutOfMemory, None);
    cell(&mut *session, "f()", Ok, Some("6"));
    // Another session and a plain run see none of it.
    cell(&mut *python.session().unwrap(), "'x' in globals()", Ok, Some("False"));
    check(&python, "'x' in globals()", Ok, "", Some("False"), None);
}

const IGNORES_LIMITS: &str = "import signal\nfor s in signal.valid_signals() - {9, 19, 32, 33}: signal.signal(s, signal.SIG_IGN)\n\
                              while True: pass";

#[test]
fn a_cell_that_must_be_killed_ends_its_session() {
    let _alone = alone();
    let python = start();
    for (code, status) in [
        (IGNORES_LIMITS, Timeout),
        ("import ctypes; ctypes.string_at(1)", Killed),
        ("import os; os._exit(3)", Error),
    ] {
        let mut session = python.session().unwrap();
        cell(&mut *session, "x = 1", Ok, None);
        cell(&mut *session, code, status, None);
        cell(&mut *session, "x", Rejected, None);
    }
    assert_eq!(children_besides_zygotes(), Vec::<String>::new());
}

#[test]
fn what_a_cell_forged_is_not_taken_for_the_next_ones_answer() {
    let _alone = alone();
    let python = start();
    let mut session = python.session().unwrap();
    let forge = "import os, struct\nm = b'{\"status\":\"ok\",\"value\":\"forged\"}'\n\
                 os.write(3, struct.pack('<I', len(m)) + m)\n'true'";
    cell(&mut *session, forge, Ok, Some("'true'"));
    cell(&mut *session, "1 + 1", Ok, Some("2"));
}

/// Returns bytes and CPU time (in ticks) of the processes of all sessions, without the zygotes.
fn sessions_hold() -> (u64, u64) {
    let (mut bytes, mut ticks) = (0, 0);
    for line in children_besides_zygotes() {
        let pid = line.split(' ').next().unwrap();
        let number = |file: &str, field: usize| -> u64 {
            let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let fields = text.rsplit(')').next().unwrap_or_default();
            fields.split_whitespace().nth(field).and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        bytes += number("statm", 1) * 4096;
        ticks += number("stat", 11) + number("stat", 12);
    }
    (bytes, ticks)
}

#[test]
fn all_sessions_together_hold_what_the_workers_may() {
    let _alone = alone();
    let config =
        PythonConfig { workers: Some(2), memory_mib: 100, cpu_seconds: 5.0, ..PythonConfig::default() };
    let python = PythonExecutor::new(config).unwrap();
    let mut small = python.session().unwrap();
    cell(&mut *small, "kept = 7", Ok, None);
    let mut hogs: Vec<_> = (0..8).map(|_| python.session().unwrap()).collect();
    let mut ended = 0;
    for hog in &mut hogs {
        let output = hog.run("x = b'x' * (80 << 20)").unwrap();
        if output.status == OutOfMemory {
            let line = "MemoryError: all sessions together hold more than 200 MiB, and this one most";
            assert_eq!(output.error.as_deref(), Some(line));
            ended += 1;
        }
        let (bytes, _) = sessions_hold();
        assert!(bytes < 600 << 20, "{} MiB", bytes >> 20);
    }
    // A session that holds little stays, whatever others hold.
    cell(&mut *small, "kept", Ok, Some("7"));
    let again: Vec<_> = hogs.iter_mut().map(|hog| hog.run("len(x)").unwrap()).collect();
    let alive = again.iter().filter(|output| output.status == Ok).count();
    // Among equals, a few pages decide whether an earlier one ends or this one.
    assert!(alive == 2 && ended >= 3, "{alive} alive, {ended} ended: {again:?}");
    let rejected = again.iter().find(|output| output.status == Rejected).unwrap();
    assert!(rejected.error.as_deref().unwrap().starts_with("Not run: "), "{rejected:?}");
}

#[test]
fn between_cells_nothing_runs() {
    let _alone = alone();
    let python = start();
    let mut session = python.session().unwrap();
    let busy = "import threading, time\nn = 0\ndef f():\n global n\n while True: n += 1\n\
                for _ in range(4): threading.Thread(target=f, daemon=True).start()\ntime.sleep(0.01)";
    cell(&mut *session, busy, Ok, None);
    let (_, before) = sessions_hold();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (_, after) = sessions_hold();
    assert!(after - before <= 2, "{} ticks", after - before);
    cell(&mut *session, "n > 0", Ok, Some("True"));
    // A thread that writes to the channel all the time is stopped too.
    let flood = "import os\ndef g():\n while True: os.write(3, bytes(1 << 16))\nthreading.Thread(target=g, daemon=True).start()";
    assert!(matches!(session.run(flood).unwrap().status, Ok | Killed));
    assert!(matches!(session.run("1").unwrap().status, Ok | Killed | Rejected | Timeout));
}
