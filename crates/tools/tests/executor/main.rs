//! Holds results, sessions, faults and parallel use of the Python executor.
#![cfg(target_os = "linux")]

#[path = "../machine/mod.rs"]
mod machine;
mod sessions;
mod start;

use std::process::Command;

use machine::python::{alone, check, start};
use machine::setting::{Setting, User, again};
use turnwise_tools::executor::{ExecutorStats, PythonConfig, PythonExecutor};
use turnwise_tools::{CodeSession, Executor};
use turnwise_trajectory::OutputStatus::{self, Error, Killed, Ok, Timeout};

#[test]
fn code_gives_what_it_prints_and_its_last_value() {
    let _alone = alone();
    let python = start();
    check(&python, "", Ok, "", None, None);
    check(&python, "print(6 * 7)", Ok, "42\n", None, None);
    check(&python, "x = 20\nx + 1", Ok, "", Some("21"), None);
    check(&python, "print('a')\n'é😀'", Ok, "a\n", Some("'é😀'"), None);
    check(&python, "None", Ok, "", None, None);
    check(&python, "def f():\n  return 1\nf()", Ok, "", Some("1"), None);
    check(
        &python,
        "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')",
        Ok,
        "a\nb\nc\n",
        None,
        None,
    );
    check(&python, "print(1)\n1/0", Error, "1\n", None, Some("ZeroDivisionError: division by zero"));
    check(&python, "x =", Error, "", None, Some("SyntaxError: invalid syntax"));
    check(&python, "raise KeyError('k')", Error, "", None, Some("KeyError: 'k'"));
    check(&python, "class No(Exception): pass\nraise No", Error, "", None, Some("No"));
    check(
        &python,
        "import json; json.loads('{')",
        Error,
        "",
        None,
        Some(
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
    );
    check(&python, "import nowhere", Error, "", None, Some("ModuleNotFoundError: No module named 'nowhere'"));
    check(&python, "print(1); exit()", Ok, "1\n", None, None);
    check(&python, "exit(3)", Error, "", None, Some("SystemExit: 3"));
    check(&python, "if __name__ == '__main__': print('main')", Ok, "main\n", None, None);
    check(
        &python,
        "from dataclasses import dataclass\n@dataclass\nclass P:\n  x: int\nP(1)",
        Ok,
        "",
        Some("P(x=1)"),
        None,
    );
    check(
        &python,
        "import threading\nt = threading.Thread(target=print, args=('t',))\nt.start()",
        Ok,
        "t\n",
        None,
        None,
    );
    check(
        &python,
        "from fractions import Fraction as F; F(1, 3) + F(1, 6)",
        Ok,
        "",
        Some("Fraction(1, 2)"),
        None,
    );
}

#[test]
fn the_last_value_is_found_wherever_its_statement_begins() {
    let _alone = alone();
    let python = start();
    check(&python, "x = 1; x", Ok, "", Some("1"), None);
    check(&python, "max(\n1,\n2\n)\n# the end\n", Ok, "", Some("2"), None);
    check(&python, "x = '''\n1\n'''", Ok, "", None, None);
    check(&python, "if 1:\n  x = 2\nelse:\n  x = 3\nx", Ok, "", Some("2"), None);
    check(&python, "x = \\\n5", Ok, "", None, None);
    check(&python, "for i in range(2):\n  i\n", Ok, "", None, None);
    check(&python, "x = 1\n x", Error, "", None, Some("IndentationError: unexpected indent"));
}

#[test]
fn the_same_code_gives_the_same_output_twice() {
    let _alone = alone();
    let code = "import random\nprint(random.random(), list({'a', 'b', 'c', 'd'}), hash('x'))";
    let (one, other) = (start(), start());
    let output = one.run(code).unwrap().stdout;
    assert_eq!(one.run(code).unwrap().stdout, output);
    assert_eq!(other.run(code).unwrap().stdout, output, "another executor");
}

#[test]
fn time_is_charged_as_cpu_time() {
    let _alone = alone();
    let output = start().run("while True: pass").unwrap();
    assert_eq!(output.error.as_deref(), Some("Timed out: more than 0.3 s of CPU time"));
    assert!((295.0..600.0).contains(&output.cpu_ms), "{output:?}");
    let output = start().run("import time; time.sleep(60)").unwrap();
    assert_eq!(output.error.as_deref(), Some("Timed out: more than 2 s of wall time"));
    assert!(output.cpu_ms < 100.0, "{output:?}");
}

fn cell(session: &mut dyn CodeSession, code: &str, status: OutputStatus, value: Option<&str>) {
    let output = session.run(code).unwrap();
    assert_eq!((output.status, output.value.as_deref()), (status, value), "{code}: {output:?}");
}

#[test]
fn many_threads_share_an_executor() {
    let _alone = alone();
    let python = start();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let python = &python;
            scope.spawn(move || {
                for i in 0..5 {
                    let output = python.run(&format!("print({thread} * 100 + {i})")).unwrap();
                    assert_eq!(output.stdout, format!("{}\n", thread * 100 + i));
                }
            });
        }
    });
}

#[test]
fn executions_are_counted_for_the_metrics() {
    let _alone = alone();
    let python = start();
    assert_eq!(python.take_stats(), ExecutorStats::default(), "the self-test isn't counted");
    for code in ["1", "while True: pass", "bytearray(1 << 40)", "import ctypes; ctypes.string_at(1)"] {
        python.run(code).unwrap();
    }
    python.session().unwrap().run("1").unwrap();
    let stats = python.take_stats();
    let counted = (stats.executions, stats.timeouts, stats.out_of_memory, stats.killed, stats.faults);
    assert_eq!(counted, (5, 1, 1, 1, 0), "{stats:?}");
    assert!(stats.wall_ms_p50 > 0.0 && stats.wall_ms_p99 >= 295.0 && stats.cpu_ms >= 295.0, "{stats:?}");
    assert_eq!(python.take_stats().executions, 0);
}

#[test]
fn a_killed_zygote_is_replaced_unseen() {
    let _alone = alone();
    let python = start();
    for _ in 0..3 {
        for line in machine::children() {
            let pid = line.split(' ').next().unwrap();
            assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
        }
        check(&python, "print(1)", Ok, "1\n", None, None);
    }
    drop(python);
    assert_eq!(machine::children(), Vec::<String>::new());
}

#[test]
fn nothing_piles_up() {
    let _alone = alone();
    let python = start();
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let run = |times: usize| {
        (0..times).for_each(|i| check(&python, &format!("print({i})"), Ok, &format!("{i}\n"), None, None));
    };
    run(20);
    let before = open_files();
    run(200);
    assert_eq!(open_files(), before);
    assert_eq!(machine::children_besides_zygotes(), Vec::<String>::new());
}

#[test]
fn the_end_of_a_script_is_its_end() {
    let _alone = alone();
    let python = start();
    let eof = Some("EOFError: EOF when reading a line");
    check(&python, "input('name? ')", Error, "name? ", None, eof);
    check(
        &python,
        "import sys\nsys.stdin.read(), list(sys.stdin), open(0, closefd=False).read()",
        Ok,
        "",
        Some("('', [], '')"),
        None,
    );
    let last = "import atexit\natexit.register(print, 'bye')\nprint('hi')";
    check(&python, last, Ok, "hi\nbye\n", None, None);
    check(
        &python,
        &format!("{last}\n1/0"),
        Error,
        "hi\nbye\n",
        None,
        Some("ZeroDivisionError: division by zero"),
    );
    check(&python, &format!("{last}\nexit(3)"), Error, "hi\nbye\n", None, Some("SystemExit: 3"));
    let slow = python.run("import atexit\n@atexit.register\ndef f():\n while True: pass").unwrap();
    assert_eq!(slow.error.as_deref(), Some("Timed out: more than 0.3 s of CPU time"), "{slow:?}");
    // Workers that wait for work end with the script, as they do in Python.
    let pool = "from concurrent.futures import ThreadPoolExecutor as P\np = P(2)\nprint(p.submit(lambda: 6 * 7).result())";
    check(&python, pool, Ok, "42\n", None, None);
    cell(&mut *python.session().unwrap(), &format!("{pool}\n1"), Ok, Some("1"));
    let old = "import sys\nprint('a', file=sys.__stdout__)\nprint('b')\nprint('c', file=sys.__stderr__)";
    check(&python, old, Ok, "a\nb\nc\n", None, None);
    let streams =
        "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('kept')";
    check(&python, streams, Ok, "kept\n", None, None);
}

#[test]
fn the_codes_own_alarm_is_not_called_a_limit() {
    let _alone = alone();
    let python = start();
    let alarm = Some("Killed by signal 14 (the code's own alarm)");
    check(
        &python,
        "import signal\nprint('a')\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nwhile True: pass",
        Killed,
        "a\n",
        None,
        alarm,
    );
    let timer = Some("Killed by signal 27 (the code's own timer)");
    check(
        &python,
        "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0.01)\nwhile True: pass",
        Killed,
        "",
        None,
        timer,
    );
    let handled = "import signal\nclass TooSlow(Exception): pass\ndef f(*_): raise TooSlow\n\
                   signal.signal(signal.SIGALRM, f)\nsignal.setitimer(signal.ITIMER_REAL, SECONDS)\nwhile True: pass";
    check(&python, &handled.replace("SECONDS", "0.01"), Error, "", None, Some("TooSlow"));
    let limit = Some("Timed out: more than 0.3 s of CPU time");
    check(&python, &handled.replace("SECONDS", "60"), Timeout, "", None, limit);
}

#[test]
fn scratch_space_is_private_bounded_and_gone_with_its_code() {
    let _alone = alone();
    let config = PythonConfig { scratch_mib: 4, cpu_seconds: 2.0, ..PythonConfig::default() };
    let python = match PythonExecutor::new(config) {
        Result::Ok(python) => python,
        // The level depends on the machine. That nothing runs without the demanded layers doesn't.
        Err(error) => {
            assert!(error.message.starts_with("scratch_mib = 4: no scratch space: "), "{error}");
            return;
        }
    };
    let files = "import os, tempfile\nos.mkdir('d')\nopen('d/a', 'w').write('x' * 10)\nos.rename('d/a', 'b')\n\
                 with tempfile.TemporaryFile() as f: f.write(b'y')\nsorted(os.listdir('.')), open('b').read()";
    check(&python, files, Ok, "", Some("(['b', 'd'], 'xxxxxxxxxx')"), None);
    check(&python, "import os; os.listdir('.')", Ok, "", Some("[]"), None);
    let full = "import errno\ntry:\n  with open('f', 'wb') as f:\n    while True: f.write(bytes(1 << 16))\n\
                except OSError as e: print(e.errno in (errno.ENOSPC, errno.EFBIG))";
    check(&python, full, Ok, "True\n", None, None);
    let several = "import errno\nwrote = 0\ntry:\n  for i in range(100):\n    wrote += open(str(i), 'wb').write(bytes(1 << 20))\n\
                   except OSError as e: print(wrote <= 4 << 20, e.errno == errno.ENOSPC)";
    check(&python, several, Ok, "True True\n", None, None);
    let crowd = "i = 0\ntry:\n  while True:\n    open('f%d' % i, 'w').close()\n    i += 1\nexcept OSError: print(i < 5000)";
    check(&python, crowd, Ok, "True\n", None, None);
    let out = "import os\ndone = []\nfor path in ('/tmp/turnwise-hostile', '../x', '/x', os.path.dirname(os.getcwd()) + '/y'):\n  \
               try: done.append(open(path, 'w'))\n  except OSError: pass\n\
               for call in (os.symlink, os.link):\n  try: done.append(call('/etc/passwd', 'p'))\n  except OSError: pass\ndone";
    check(&python, out, Ok, "", Some("[]"), None);
    let mut session = python.session().unwrap();
    cell(&mut *session, "open('kept', 'w').write('1')", Ok, Some("1"));
    cell(&mut *session, "open('kept').read()", Ok, Some("'1'"));
    assert!(!std::path::Path::new("/tmp/turnwise-hostile").exists());
}

#[test]
fn scratch_space_works_for_an_ordinary_user_too() {
    let _alone = alone();
    again("scratch_space_is_private_bounded_and_gone_with_its_code", User::Nobody, Setting::Here, &[]);
}

#[test]
fn modules_imported_and_warmed_up_once_are_there_at_once() {
    let _alone = alone();
    let warm = "import sys, colorsys\nsys.modules['colorsys'].warm = [1]";
    let config = PythonConfig {
        imports: vec!["colorsys".into()],
        warm_up: vec![warm.into()],
        ..PythonConfig::default()
    };
    let (warm, cold) = (PythonExecutor::new(config).unwrap(), start());
    let loaded = "import sys; 'colorsys' in sys.modules";
    check(&warm, loaded, Ok, "", Some("True"), None);
    check(&cold, loaded, Ok, "", Some("False"), None);
    // The next execution doesn't see changes of a module.
    let counted = "import colorsys; colorsys.warm.append(2); colorsys.warm";
    check(&warm, counted, Ok, "", Some("[1, 2]"), None);
    check(&warm, counted, Ok, "", Some("[1, 2]"), None);
}

/// It needs the modules. If they aren't installed, the executor names the missing one.
#[test]
fn sympy_and_numpy_are_imported_where_they_are_installed() {
    let _alone = alone();
    for (module, code, value) in [
        ("sympy", "from sympy import *\nx = symbols('x')\nstr(solve(x**2 - 2, x))", "'[-sqrt(2), sqrt(2)]'"),
        ("numpy", "import numpy as np\nint(np.linalg.det(np.eye(3) * 2).round())", "8"),
    ] {
        let interpreter = std::env::var("TURNWISE_TEST_PYTHON").ok();
        let config = PythonConfig {
            imports: vec![module.into()],
            memory_mib: 1024,
            cpu_seconds: 10.0,
            wall_seconds: 60.0,
            interpreter,
            ..PythonConfig::default()
        };
        match PythonExecutor::new(config) {
            Result::Ok(python) => check(&python, code, Ok, "", Some(value), None),
            Err(error) => assert!(error.message.contains(&format!("No module named '{module}'")), "{error}"),
        }
    }
}
