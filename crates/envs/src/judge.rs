//! Judges programs by tests that they can neither read nor tamper with.
//!
//! ```text
//! exam: tests, and results so far  ──calls that lack a result──▶  answers: the policy's code, and these calls
//!       ◀──────────────── their results, as values ──────────────────
//! ```
//! The two run in separate processes and exchange data only here. The policy's code never shares a process
//! with an expected result. Code that exits, prints, patches the interpreter or overloads `==` changes its
//! results and nothing else. A call without a result fails the tests and is never an error.
//!
//! Results travel by value: literals, NaN, exceptions, iterators, the types of `collections`, `fractions`,
//! `decimal` and `datetime`, classes of the context, functions, and the changes of a call to its arguments.
//! An object of the program's class equals nothing. Each call is made once, so a function must give equal
//! results to equal calls.

use serde_json::{Value, json};
use turnwise_tools::executor::{ExecutorConfig, PythonConfig, Remembering};
use turnwise_tools::{Executor, ExecutorFault};
use turnwise_trajectory::{CallRecord, OutputStatus, ToolOutput, Trajectory};

use crate::env::EnvError;
use crate::tasks::stated::stated;

/// The code of both sides, loaded before either runs.
const LIBRARY: &str =
    concat!(include_str!("judge/values.py"), include_str!("judge/exam.py"), include_str!("judge/answers.py"));
const EXAMPLES: &str = include_str!("judge/examples.py");

/// Rounds of questions before a program fails, because its results may make the tests ask for ever.
const ROUNDS: usize = 256;
/// Maximum of bytes in all results of a program.
const MAX_RESULTS: usize = 4 << 20;
/// Prefix of the tests' output before the calls whose results they lack.
const ASK: &str = "ask ";
/// Attempts at an execution that fails without fault of the code.
const ATTEMPTS: usize = 3;

/// Holds the tests that judge a program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exam {
    /// Python that precedes both tests and answer: imports and helpers. It may define the function as well.
    pub(crate) context: String,
    /// The function's name.
    pub(crate) entry: String,
    /// Python that defines `check(candidate)`, as in HumanEval (arXiv:2107.03374), or assertions, as in MBPP
    /// (arXiv:2108.07732).
    pub(crate) tests: String,
    /// Other functions and classes of the program that the tests use.
    pub(crate) names: Vec<String>,
}

/// Bytes of programs and outputs that a judge remembers.
const MEMORY: usize = 64 << 20;

/// Runs exams in a separate sandbox. Many programs are judged again and again, so each runs once. The key is
/// a whole program, exam or answers, so no two can be confused.
/// program, exam or answers, so that none can stand in for another.
pub(crate) struct Judge {
    env: &'static str,
    executor: Remembering,
}

impl Judge {
    /// Starts a sandbox like that of the calls, so that a program is judged by the interpreter that it was
    /// tried with. Limits are never below the defaults, because tests run under them too. Results have room:
    /// a list of a thousand numbers is a good answer.
    pub(crate) fn open(env: &'static str, python: &PythonConfig) -> Result<Self, EnvError> {
        let defaults = PythonConfig::default();
        let library = format!(
            "import sys, types\n_judge = sys.modules['_judge'] = types.ModuleType('_judge')\nexec({}, vars(_judge))",
            json!(LIBRARY)
        );
        let config = PythonConfig {
            cpu_seconds: python.cpu_seconds.max(defaults.cpu_seconds),
            wall_seconds: python.wall_seconds.max(defaults.wall_seconds),
            memory_mib: python.memory_mib.max(defaults.memory_mib),
            output_bytes: python.output_bytes.max(1 << 20),
            warm_up: python.warm_up.iter().cloned().chain([library]).collect(),
            ..python.clone()
        };
        let executor = ExecutorConfig::Python(config).build()?;
        Ok(Self { env, executor: Remembering::new(executor, MEMORY) })
    }

    /// Returns how many programs run at a time.
    pub(crate) fn at_once(&self) -> usize {
        self.executor.at_once()
    }

    /// Refuses tests that can't be run or never ask for a result, whatever the program.
    ///
    /// # Errors
    /// The fault of the tests.
    pub(crate) fn check(&self, exam: &Exam) -> Result<(), String> {
        let verdict = self.attempt(&exam_program(exam, &[])).map_err(|fault| fault.to_string())?;
        first_asks(&verdict, exam)
    }

    /// Returns whether the program passes. Every failure in its process counts against it.
    pub(crate) fn passes(&self, task: &str, code: &str, exam: &Exam) -> Result<bool, EnvError> {
        let mut known: Vec<(String, String)> = Vec::new();
        let mut room = MAX_RESULTS;
        for _ in 0..ROUNDS {
            let verdict = self
                .attempt(&exam_program(exam, &known))
                .map_err(|fault| self.error(task, fault.to_string()))?;
            if known.is_empty() {
                first_asks(&verdict, exam).map_err(|message| self.error(task, message))?;
            }
            let Some(said) = verdict_of(&verdict) else { return Ok(false) };
            let Some(calls) = said.strip_prefix(ASK) else { return Ok(said == "pass") };
            let Some(results) = self.results(task, code, calls, exam)? else { return Ok(false) };
            let Some(left) = room.checked_sub(results.len()) else { return Ok(false) };
            room = left;
            known.push((calls.to_string(), results));
        }
        Ok(false)
    }

    /// Returns a program's results for calls, if it gives any.
    fn results(&self, task: &str, code: &str, calls: &str, exam: &Exam) -> Result<Option<String>, EnvError> {
        match self.attempt(&call("import _judge\n_judge.answers", &json!([exam.context, code, calls]), "")) {
            Ok(output) => Ok(output.value.filter(|_| output.status == OutputStatus::Ok)),
            // A program that breaks its process can't pass. A sandbox that runs nothing is a fault.
            Err(_) if self.executor.session().and_then(|mut session| session.run("1")).is_ok() => Ok(None),
            Err(fault) => Err(self.error(task, fault.to_string())),
        }
    }

    /// Runs a program, and retries failures that aren't the program's.
    fn attempt(&self, program: &str) -> Result<ToolOutput, ExecutorFault> {
        let mut outcome = self.executor.run(program);
        for _ in 1..ATTEMPTS {
            if outcome.is_err() {
                outcome = self.executor.run(program);
            }
        }
        outcome
    }

    fn error(&self, task: &str, message: String) -> EnvError {
        let hint = "`turnwise doctor` checks the sandbox; tests are Python that defines check(candidate)";
        EnvError::Judge { env: self.env, task: task.into(), message, hint }
    }
}

/// Returns the program that tries code on visible examples, each a call and the text of its result.
pub(crate) fn examples_program(context: &str, code: &str, examples: &[(String, String)]) -> String {
    EXAMPLES.to_string() + &call("\nprint(examples", &json!([context, code, examples]), ")")
}

/// Returns the program that runs tests, given calls and their results so far.
fn exam_program(exam: &Exam, known: &[(String, String)]) -> String {
    let arguments = json!([exam.context, exam.tests, exam.entry, exam.names, known]);
    call("import _judge\nprint(_judge.examine", &arguments, ")")
}

/// Returns a call of a function. A JSON array of strings and arrays is also a Python list.
fn call(function: &str, arguments: &Value, close: &str) -> String {
    format!("{function}(*{arguments}){close}\n")
}

/// Returns the output of the tests, or none if they didn't end.
fn verdict_of(output: &ToolOutput) -> Option<&str> {
    (output.status == OutputStatus::Ok && !output.truncated).then(|| output.stdout.trim_end())
}

/// Refuses tests that ask for no result in the first round. The program can't be the cause.
fn first_asks(output: &ToolOutput, exam: &Exam) -> Result<(), String> {
    match verdict_of(output) {
        Some(said) if said.starts_with(ASK) => Ok(()),
        Some(_) => Err(format!("its tests don't run: they never call `{}`", exam.entry)),
        None => {
            let line = output.error.as_deref().unwrap_or("more output than there is room for");
            Err(format!("its tests don't run: {line}"))
        }
    }
}

/// Returns the text after the last `Answer:`, which ends a trajectory whose answer is a program.
pub(crate) fn ended(text: &str) -> Option<String> {
    stated(text).map(|after| after.trim().to_string()).filter(|after| !after.is_empty())
}

/// Returns the code of the last call that ran, if the last turn ends the trajectory.
pub(crate) fn last_program(played: &Trajectory) -> Option<String> {
    ended(&played.turns.last()?.text)?;
    let mut calls = played.turns.iter().flat_map(|turn| &turn.calls).rev();
    calls.find_map(CallRecord::code).map(str::to_string)
}

#[cfg(test)]
mod tests;
