//! Judging programs by tests that they can neither read nor tamper with.
//!
//! ```text
//! exam: tests, and results so far  ──calls that lack a result──▶  answers: the policy's code, and these calls
//!       ◀──────────────── their results, as literals ────────────────
//! ```
//! The two run in processes of their own and meet only here. So the policy's code never shares a process with an
//! expected result, and code that exits, prints, patches the interpreter or overloads `==` changes nothing but its
//! own results. A function that isn't deterministic, or that changes its arguments in place for the tests to see,
//! isn't supported: each call is made once, on copies.

use serde_json::{Value, json};
use turnwise_tools::executor::{ExecutorConfig, PythonConfig, Remembering};
use turnwise_tools::{Executor, ExecutorFault};
use turnwise_trajectory::{CallRecord, OutputStatus, ToolOutput, Trajectory};

use crate::env::EnvError;

const EXAM: &str = include_str!("judge/exam.py");
const ANSWERS: &str = include_str!("judge/answers.py");
const EXAMPLES: &str = include_str!("judge/examples.py");

/// Rounds of questions before tests are taken for endless.
const ROUNDS: usize = 64;
/// Attempts at an execution that fails by no fault of the code.
const ATTEMPTS: usize = 3;

/// What a program is judged by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exam {
    /// Python that stands before tests and answer alike: imports and helpers. It may define the function as well.
    pub(crate) context: String,
    /// The function's name.
    pub(crate) entry: String,
    /// Python that defines `check(candidate)`, as in HumanEval (arXiv:2107.03374).
    pub(crate) tests: String,
}

/// Bytes of programs and outputs that a judge remembers.
const MEMORY: usize = 64 << 20;

/// Runs exams in a sandbox of its own. Many programs are judged again and again, so each runs once; what ran is a whole
/// program, exam or answers, so that none can stand in for another.
pub(crate) struct Judge {
    env: &'static str,
    executor: Remembering,
}

impl Judge {
    /// Starts the sandbox: that of the calls, so that a program is judged by the interpreter that it was tried with.
    /// Limits are never below the defaults, because tests run under them, too. Results have room: a list of a thousand
    /// numbers is a good answer.
    pub(crate) fn open(env: &'static str, python: &PythonConfig) -> Result<Self, EnvError> {
        let least = PythonConfig::default();
        let config = PythonConfig {
            cpu_seconds: python.cpu_seconds.max(least.cpu_seconds),
            wall_seconds: python.wall_seconds.max(least.wall_seconds),
            memory_mib: python.memory_mib.max(least.memory_mib),
            output_bytes: python.output_bytes.max(1 << 20),
            ..python.clone()
        };
        let executor = ExecutorConfig::Python(config).build()?;
        Ok(Self { env, executor: Remembering::new(executor, MEMORY) })
    }

    /// Whether the program passes. Whatever goes wrong in its own process counts against it.
    pub(crate) fn passes(&self, task: &str, code: &str, exam: &Exam) -> Result<bool, EnvError> {
        let mut known: Vec<(String, String)> = Vec::new();
        for _ in 0..ROUNDS {
            let program =
                call(EXAM, "print(examine", &json!([exam.context, exam.tests, exam.entry, known]), ")");
            let verdict = self.run(task, &program)?;
            if verdict.status != OutputStatus::Ok || verdict.truncated {
                // Before the first answer, only the tests can be to blame.
                return if known.is_empty() { Err(self.broken(task, &verdict)) } else { Ok(false) };
            }
            let verdict = verdict.stdout.trim_end();
            let Some(calls) = verdict.strip_prefix("ask ") else { return Ok(verdict == "pass") };
            let program = call(ANSWERS, "answers", &json!([exam.context, code, exam.entry, calls]), "");
            let answers = self.run(task, &program)?;
            let (OutputStatus::Ok, Some(value)) = (answers.status, answers.value) else { return Ok(false) };
            known.push((calls.to_string(), value));
        }
        Err(self.error(task, format!("the tests make new calls after {ROUNDS} rounds")))
    }

    fn run(&self, task: &str, program: &str) -> Result<ToolOutput, EnvError> {
        let mut fault: Option<ExecutorFault> = None;
        for _ in 0..ATTEMPTS {
            match self.executor.run(program) {
                Ok(output) => return Ok(output),
                Err(error) => fault = Some(error),
            }
        }
        Err(self.error(task, fault.map_or_else(String::new, |fault| fault.to_string())))
    }

    fn broken(&self, task: &str, output: &ToolOutput) -> EnvError {
        let line = output.error.as_deref().unwrap_or("more output than there is room for");
        self.error(task, format!("its tests don't run: {line}"))
    }

    fn error(&self, task: &str, message: String) -> EnvError {
        let hint = "`turnwise doctor` checks the sandbox; tests are Python that defines check(candidate) and gives \
                    it literals";
        EnvError::Judge { env: self.env, task: task.into(), message, hint }
    }
}

/// The program that tries code on visible examples, each a call and the text of its result.
pub(crate) fn examples_program(context: &str, code: &str, examples: &[(String, String)]) -> String {
    call(EXAMPLES, "print(examples", &json!([context, code, examples]), ")")
}

/// A script with a call of its function. A JSON array of strings and arrays is a Python list, too.
fn call(script: &str, function: &str, arguments: &Value, close: &str) -> String {
    format!("{script}\n{function}(*{arguments}){close}\n")
}

/// The code of the last call that ran: where answers are programs, the answer.
pub(crate) fn last_code(played: &Trajectory) -> Option<String> {
    let mut calls = played.turns.iter().flat_map(|turn| &turn.calls).rev();
    let code = calls.find_map(|record| match record {
        CallRecord::Executed { call, .. } => call.arguments.get("code")?.as_str(),
        CallRecord::Malformed(_) => None,
    });
    code.map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exam(tests: &str) -> Exam {
        Exam { context: "import math".into(), entry: "f".into(), tests: tests.into() }
    }

    fn double() -> Exam {
        exam(
            "import random\ndef check(candidate):\n    assert candidate(1) == 2\n    assert candidate(x=4) == 8\n    \
             for n in range(5):\n        m = random.randint(0, 10 ** 6)\n        assert candidate(m) == 2 * m\n    \
             seen = candidate([0])\n    assert seen == f([0]) == [0, 0]",
        )
    }

    #[test]
    fn right_programs_pass_and_wrong_ones_dont() {
        let judge = Judge::open("test", &PythonConfig::default()).unwrap();
        for (code, passes) in [
            ("def f(x): return x + x", true),
            ("f = lambda x: 2 * x", true),
            ("def f(x):\n    print('noise')\n    return x * 2", true),
            ("def f(x): return math.floor(2) * x", true),
            ("def f(x): return x + 1", false),
            ("def f(x): return x * 2 if x != 4 else 9", false),
            ("def g(x): return x * 2", false),
            ("def f(x): return", false),
            ("def f(x): raise AssertionError", false),
            ("def f(x):\n    while True: pass", false),
            ("def f(x): return [0] * 10 ** 12", false),
            ("def f(x", false),
            ("", false),
        ] {
            assert_eq!(judge.passes("t", code, &double()).unwrap(), passes, "{code}");
        }
    }

    #[test]
    fn hidden_tests_can_be_neither_read_nor_tampered_with() {
        let judge = Judge::open("test", &PythonConfig::default()).unwrap();
        let always_equal = "class A(int):\n    def __eq__(self, other): return True\n    __hash__ = None\n    \
                            def __repr__(self): return 'A()'\ndef f(x): return A()";
        let search = "import gc, sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n        for v in \
                      frame.f_locals.values():\n            if 'ass' 'ert' in repr(v): return 2 * x\n        frame = \
                      frame.f_back\n    for o in gc.get_objects():\n        if isinstance(o, str) and 'candi' 'date(' \
                      in o: return 2 * x\n    return 0";
        for code in [
            "import sys\nsys.exit(0)",
            "import os\nos._exit(0)",
            "print('pass')\nimport os\nos._exit(0)",
            "def f(x):\n    import os\n    print('pass', flush=True)\n    os._exit(0)",
            "raise SystemExit",
            always_equal,
            search,
            "import ast\nast.literal_eval = lambda text: 2\ndef f(x): return 0",
            "import builtins\nbuiltins.repr = lambda value: '2'\ndef f(x): return x",
            "import sys\nsys.modules['__main__'].examine = lambda *a: 'pass'\ndef f(x): return 0",
            "def f(x): return type('R', (), {'__repr__': lambda self: '__import__(\"os\")._exit(0)'})()",
            "def f(x): return type('R', (), {'__repr__': lambda self: '[' * 100000})()",
            "def check(candidate): pass\ndef f(x): return 0",
        ] {
            assert!(!judge.passes("t", code, &double()).unwrap(), "{code}");
        }
    }

    #[test]
    fn tests_that_dont_run_are_our_fault_not_the_programs() {
        let judge = Judge::open("test", &PythonConfig::default()).unwrap();
        for tests in
            ["def check(candidate:", "x = 1", "def check(candidate):\n    assert candidate(object())"]
        {
            let error = judge.passes("t", "def f(x): return 1", &exam(tests)).unwrap_err().to_string();
            assert!(error.starts_with("env.test: judging task t: its tests don't run: "), "{error}");
        }
    }

    #[test]
    fn the_sandbox_is_that_of_the_calls_with_limits_that_suffice() {
        let tight =
            PythonConfig { cpu_seconds: 0.01, memory_mib: 1, output_bytes: 1, ..PythonConfig::default() };
        let judge = Judge::open("test", &tight).unwrap();
        let big = exam("def check(candidate):\n    assert candidate(9000) == list(range(9000))");
        let slow = "def f(x):\n    sum(range(2 * 10 ** 6))\n    return list(range(x))";
        assert!(judge.passes("t", slow, &big).unwrap());
        let warm = PythonConfig { imports: vec!["no_such_module".into()], ..PythonConfig::default() };
        for python in [PythonConfig { interpreter: Some("/no/such/python".into()), ..tight }, warm] {
            let error = Judge::open("test", &python).err().expect("no such sandbox").to_string();
            assert!(error.contains("no/such/python") || error.contains("no_such_module"), "{error}");
        }
    }

    #[test]
    fn the_first_example_that_fails_is_named() {
        let executor = ExecutorConfig::default().build().unwrap();
        let examples = [("f(1)".to_string(), "2".to_string()), ("f([3])".into(), "[3, 3]".into())];
        for (code, line) in [
            ("def f(x): return x * 2", "all 2 examples pass"),
            ("def f(x): return 2", "f([3]) gave 2, want [3, 3]"),
            ("def f(x): return 1 / 0", "f(1) raised ZeroDivisionError: division by zero"),
            ("def g(x): return 2", "f(1) raised NameError: name 'f' is not defined"),
        ] {
            let output = executor.run(&examples_program("", code, &examples)).unwrap();
            assert_eq!(output.stdout.trim_end(), line, "{code}");
        }
    }
}
