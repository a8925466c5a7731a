//! The zygotes of an executor, and who may use one when.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use turnwise_trajectory::ToolOutput;

use super::child::Child;
use super::config::PythonConfig;
use super::interpreter::{self, Interpreter};
use super::isolation::{self, Achieved, Found};
use super::keeper::Keeper;
use super::recorder::Recorder;
use super::seccomp;
use super::sys::{self, Setup};
use super::zygote::{Lifetime, Recipe, Settings, Zygote};
use super::{NAME, fault};
use crate::executor::{ExecutorError, ExecutorFault, ExecutorInfo, ExecutorStats};

/// As many workers as executions may run at a time; a worker's zygote is started when it's first needed.
#[derive(Debug)]
pub(super) struct Pool {
    // Dropped in this order: zygotes first, then the thread that they live with.
    idle: Mutex<Vec<Option<Zygote>>>,
    freed: Condvar,
    recipe: Recipe,
    config: PythonConfig,
    achieved: Achieved,
    version: String,
    recorder: Recorder,
    keeper: Keeper,
}

impl Pool {
    /// Starts the first zygote with the first interpreter that works.
    pub(super) fn start(config: PythonConfig) -> Result<Self, ExecutorError> {
        let keeper = Keeper::start().map_err(|error| cannot("start a thread", &error))?;
        let (candidates, mut reasons) = interpreter::candidates(config.interpreter.as_deref());
        for interpreter in candidates {
            let executable = interpreter.executable.display().to_string();
            match first_zygote(&keeper, interpreter, &config) {
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
                "isolation {:?} is demanded and {:?} achieved ({})",
                config.isolation,
                achieved.level,
                achieved.missing.join("; ")
            );
            let hint = "allow what is missing, or ask for less with executor.python.isolation".into();
            return Err(ExecutorError { backend: NAME, message: message.to_lowercase(), hint });
        }
        let version = zygote.version.clone();
        // The last one is taken first.
        let mut idle: Vec<Option<Zygote>> = (1..config.worker_count()).map(|_| None).collect();
        idle.push(Some(zygote));
        let (idle, freed) = (Mutex::new(idle), Condvar::new());
        Ok(Self { idle, freed, recipe, config, achieved, version, recorder: Recorder::default(), keeper })
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
            isolation: self.achieved.holds.clone(),
            missing: self.achieved.missing.clone(),
        }
    }

    /// Runs `code` in a fresh child; after a fault of ours, once more with a fresh zygote.
    pub(super) fn run(&self, code: &str) -> Result<ToolOutput, ExecutorFault> {
        let once = || {
            let mut turn = self.take_turn();
            let child = self.open(&mut turn, Lifetime::Once)?;
            let result = child.run_once(code, &self.config).map_err(|error| fault("running code", error));
            turn.renew_if(result.is_err());
            self.record(result.as_ref(), &turn);
            result
        };
        once().or_else(|_| once())
    }

    /// Counts what a turn came to.
    pub(super) fn record(&self, result: Result<&ToolOutput, &ExecutorFault>, turn: &Turn<'_>) {
        match result {
            Ok(output) => self.recorder.ran(output, turn.queued),
            Err(_) => self.recorder.failed(),
        }
    }

    pub(super) fn take_stats(&self) -> ExecutorStats {
        self.recorder.take()
    }

    /// Forks a child that stays.
    pub(super) fn open_session(&self) -> Result<Child, ExecutorFault> {
        let once = || self.open(&mut self.take_turn(), Lifetime::Session);
        once().or_else(|_| once())
    }

    /// Waits until fewer executions run than there are workers.
    pub(super) fn take_turn(&self) -> Turn<'_> {
        let started = Instant::now();
        let mut idle = self.idle();
        loop {
            if let Some(zygote) = idle.pop() {
                return Turn { pool: self, zygote, queued: started.elapsed() };
            }
            idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self, turn: &mut Turn<'_>, lifetime: Lifetime) -> Result<Child, ExecutorFault> {
        let child = self.try_open(turn, lifetime);
        turn.renew_if(child.is_err());
        if child.is_err() {
            self.recorder.failed();
        }
        child
    }

    fn try_open(&self, turn: &mut Turn<'_>, lifetime: Lifetime) -> Result<Child, ExecutorFault> {
        let zygote = match &mut **turn {
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

    fn idle(&self) -> MutexGuard<'_, Vec<Option<Zygote>>> {
        // A panic elsewhere can't leave a list of zygotes half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one execution now, with a worker's zygote if it has one already.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pool: &'a Pool,
    zygote: Option<Zygote>,
    /// How long it had to be waited for.
    queued: Duration,
}

impl Turn<'_> {
    /// Gives up the zygote after a fault, or when it's worn; the next turn starts a fresh one.
    fn renew_if(&mut self, faulty: bool) {
        if faulty || self.zygote.as_ref().is_some_and(Zygote::is_worn) {
            self.zygote = None;
        }
    }
}

impl Deref for Turn<'_> {
    type Target = Option<Zygote>;

    fn deref(&self) -> &Option<Zygote> {
        &self.zygote
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut Option<Zygote> {
        &mut self.zygote
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let zygote = self.zygote.take();
        let mut idle = self.pool.idle();
        // Zygotes that run are taken first, so that idle workers start none.
        if zygote.is_some() {
            idle.push(zygote);
        } else {
            idle.insert(0, zygote);
        }
        drop(idle);
        self.pool.freed.notify_one();
    }
}

/// Finds out what this interpreter and this kernel can do together.
fn first_zygote(
    keeper: &Keeper,
    interpreter: Interpreter,
    config: &PythonConfig,
) -> Result<(Recipe, Zygote, Achieved), String> {
    let ruleset = isolation::landlock_ruleset(&interpreter.readable());
    let programs = seccomp::programs(ruleset.is_ok());
    let mut found = Found {
        dropped_root: sys::is_root(),
        no_namespaces: None,
        no_landlock: ruleset.as_ref().err().cloned(),
        no_seccomp: programs.as_ref().err().cloned(),
    };
    let programs = programs.unwrap_or_default();
    let mut recipe = Recipe {
        interpreter,
        setup: Setup { drop_root: found.dropped_root, namespaces: true },
        ruleset: ruleset.ok(),
        settings: Settings::new(config, true, &programs),
    };
    let zygote = Zygote::start(keeper, &recipe).or_else(|error| {
        // Namespaces are the layer that containers deny; without them it may work.
        found.no_namespaces = Some(error.to_string());
        recipe.setup.namespaces = false;
        recipe.settings = Settings::new(config, false, &programs);
        Zygote::start(keeper, &recipe)
    });
    let mut zygote = zygote.map_err(|error| error.to_string())?;
    let (_, hello) =
        Child::open(&mut zygote, Lifetime::Once).map_err(|error| format!("first child: {error}"))?;
    Ok((recipe, zygote, Achieved::new(&found, hello)))
}

fn cannot(what: &str, error: &std::io::Error) -> ExecutorError {
    ExecutorError {
        backend: NAME,
        message: format!("cannot {what}: {error}"),
        hint: "see `ulimit -a`".into(),
    }
}
