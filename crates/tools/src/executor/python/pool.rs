//! Holds the zygotes of an executor, and lends them to executions.

use std::sync::atomic::{AtomicU64, Ordering};

use turnwise_trajectory::ToolOutput;

use super::budget::Budget;
use super::child::Child;
use super::config::PythonConfig;
use super::interpreter;
use super::isolation::Achieved;
use super::keeper::Keeper;
use super::start;
use super::zygote::{Lifetime, Recipe, Zygote};
use super::{NAME, fault};
use crate::executor::recorder::Recorder;
use crate::executor::slots::{Slot, Slots};
use crate::executor::{ExecutorError, ExecutorFault, ExecutorInfo, ExecutorStats};

/// Holds up to one worker per execution that may run at a time. A worker's zygote is started when it's first
/// needed.
#[derive(Debug)]
pub(super) struct Pool {
    // Dropped in this order: zygotes first, then the thread that they live with.
    slots: Slots<Zygote>,
    recipe: Recipe,
    config: PythonConfig,
    achieved: Achieved,
    version: String,
    recorder: Recorder,
    budget: Budget,
    sessions: AtomicU64,
    keeper: Keeper,
}

impl Pool {
    /// Starts the first zygote with the first interpreter that works. `landlock` is the newest version to
    /// use.
    pub(super) fn start(config: PythonConfig, landlock: i32) -> Result<Self, ExecutorError> {
        let keeper = Keeper::start().map_err(|error| cannot("start a thread", &error))?;
        let (candidates, mut reasons) = interpreter::candidates(config.interpreter.as_deref());
        for interpreter in candidates {
            let executable = interpreter.executable.display().to_string();
            match start::first_zygote(&keeper, interpreter, &config, landlock) {
                Ok((recipe, zygote, achieved)) => return Self::new(config, keeper, recipe, zygote, achieved),
                Err(reason) => reasons.push(format!("{executable}: {reason}")),
            }
        }
        Err(interpreter::none_usable(&reasons))
    }

    fn new(
        config: PythonConfig,
        keeper: Keeper,
        recipe: Recipe,
        zygote: Zygote,
        achieved: Achieved,
    ) -> Result<Self, ExecutorError> {
        if achieved.level < config.isolation {
            let message = format!(
                "isolation {} is demanded and {} achieved ({})",
                config.isolation,
                achieved.level,
                achieved.missing.join("; ")
            );
            let hint = "allow what is missing, or ask for less with rollout.executor.python.isolation".into();
            return Err(ExecutorError { backend: NAME, message, hint });
        }
        if let Some(reason) = achieved.hello.no_scratch() {
            return Err(ExecutorError {
                backend: NAME,
                message: format!("scratch_mib = {}: no scratch space: {reason}", config.scratch_mib),
                hint: "it needs the layers landlock and namespaces, see `turnwise doctor`; 0 does without"
                    .into(),
            });
        }
        let version = zygote.version.clone();
        let workers = config.worker_count();
        let slots = Slots::new(workers, zygote);
        let budget = Budget::new(max_of_one(&config).saturating_mul(workers as u64));
        let (recorder, sessions) = (Recorder::default(), AtomicU64::new(0));
        Ok(Self { slots, recipe, config, achieved, version, recorder, budget, sessions, keeper })
    }

    pub(super) fn config(&self) -> &PythonConfig {
        &self.config
    }

    pub(super) fn achieved(&self) -> &Achieved {
        &self.achieved
    }

    pub(super) fn describe(&self) -> ExecutorInfo {
        ExecutorInfo {
            backend: NAME.into(),
            python_version: Some(self.version.clone()),
            level: Some(self.achieved.level),
            isolation: self.achieved.holds.clone(),
            missing: self.achieved.missing.clone(),
        }
    }

    /// Runs `code` in a fresh child. After a fault it retries once with a fresh zygote.
    pub(super) fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let once = || {
            let mut turn = self.slots.take();
            let child = self.open(&mut turn, Lifetime::Once)?;
            let result = child.run_once(code, &self.config).map_err(|error| fault("running code", error));
            renew_if(result.is_err(), &mut turn);
            self.record(result.as_ref(), &turn);
            result
        };
        once().or_else(|_| once())
    }

    /// Counts the result of an execution.
    pub(super) fn record(&self, result: Result<&ToolOutput, &ExecutorFault>, turn: &Turn<'_>) {
        match result {
            Ok(output) => self.recorder.ran(output, turn.queued),
            Err(_) => self.recorder.failed(),
        }
    }

    pub(super) fn take_stats(&self) -> ExecutorStats {
        self.recorder.take()
    }

    /// Forks a child for a session, and numbers it.
    pub(super) fn open_session(&self) -> Result<(Child, u64), ExecutorFault> {
        let once = || self.open(&mut self.slots.take(), Lifetime::Session);
        let child = once().or_else(|_| once())?;
        Ok((child, self.sessions.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns the memory budget of all sessions.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Returns the bytes that one execution may hold.
    pub(super) fn max_of_one(&self) -> u64 {
        max_of_one(&self.config)
    }

    /// Waits until fewer executions run than there are workers.
    pub(super) fn take_turn(&self) -> Turn<'_> {
        self.slots.take()
    }

    fn open(&self, turn: &mut Turn<'_>, lifetime: Lifetime) -> Result<Child, ExecutorFault> {
        let child = self.try_open(turn, lifetime);
        renew_if(child.is_err(), turn);
        if child.is_err() {
            self.recorder.failed();
        }
        child
    }

    fn try_open(&self, turn: &mut Turn<'_>, lifetime: Lifetime) -> Result<Child, ExecutorFault> {
        let zygote = match &mut turn.worker {
            Some(zygote) => zygote,
            empty => empty.insert(
                Zygote::start(&self.keeper, &self.recipe).map_err(|error| fault("starting python", error))?,
            ),
        };
        let (child, hello) =
            Child::open(zygote, lifetime).map_err(|error| fault("forking a child", error))?;
        if hello != self.achieved.hello {
            return Err(fault("a child has fewer layers of isolation than the first", format!("{hello:?}")));
        }
        Ok(child)
    }
}

/// Grants the right to run one execution now, with a worker's zygote if it has one already.
pub(super) type Turn<'a> = Slot<'a, Zygote>;

/// Drops the zygote after a fault, or when it's worn. The next execution starts a fresh one.
fn renew_if(faulty: bool, turn: &mut Turn<'_>) {
    if faulty || turn.worker.as_ref().is_some_and(Zygote::is_worn) {
        turn.worker = None;
    }
}

fn max_of_one(config: &PythonConfig) -> u64 {
    (config.memory_mib + config.scratch_mib) << 20
}

fn cannot(what: &str, error: &std::io::Error) -> ExecutorError {
    ExecutorError {
        backend: NAME,
        message: format!("cannot {what}: {error}"),
        hint: "see `ulimit -a`".into(),
    }
}
