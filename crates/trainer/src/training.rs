//! Runs training: steps, and the files written between them so that the process may die at any moment.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use turnwise_envs::TaskSplit;
use turnwise_model::{family_of, load_config, save, save_adapter};
use turnwise_rollout::chat::Moment;
use turnwise_run::checkpoint::{ADAPTER, OPTIMIZER};
use turnwise_run::manifest::file_sha256;
use turnwise_run::{Evaluation, Evaluations, RunDir, RunEnvironment, State, StepMetrics, prune};

use crate::config::{Precision, RunConfig, to_toml};
use crate::error::TrainError;
use crate::memory_estimate;
use crate::play::evaluate::evaluate;
use crate::play::setup::{Setup, tokenizer};
use crate::play::source::{Play, RolloutSource};
use crate::play::{Offer, evaluate_agents};
use crate::resume;
use crate::run_site::RunSite;
use crate::step::Trainer;
use crate::watch::excerpt::excerpt;
use crate::watch::guards::{self, Action, Finding, Watched};
use crate::watch::logged::Logged;
use crate::watch::phase::Phase;
use crate::watch::progress::Progress;
use crate::watch::sinks::Sinks;

/// Holds the result of a training run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Held-out evaluation before the first step.
    pub before: Evaluation,
    /// Held-out evaluation after the last step.
    pub after: Evaluation,
    /// The run directory.
    pub run: PathBuf,
    /// The number of its steps, if all of them had been done before.
    pub already: Option<usize>,
}

/// Says how a run starts and what may stop it.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// Goes on although config or tasks differ from those that the run was started with.
    pub allow_changes: bool,
    /// Once true, the run ends after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// The source of rollouts.
    pub rollouts: &'a dyn RolloutSource,
}

/// The stop flag of runs that nothing stops.
static NEVER: AtomicBool = AtomicBool::new(false);

impl Default for Session<'_> {
    fn default() -> Self {
        Self { allow_changes: false, stop: &NEVER, rollouts: &Play }
    }
}

/// Trains a policy, or resumes it from the newest whole checkpoint of its run directory. On a CPU backend the
/// directory of a resumed run ends with the same bytes as that of an uninterrupted one, times apart. A new
/// run directory is made only when everything that the run needs has been opened.
pub fn train(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    session: Session<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    match RunDir::open(path)? {
        None => begin(config, site, path, session, progress),
        Some(run) => go_on(config, site, run, session, progress),
    }
}

fn begin(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    session: Session<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    memory_estimate::check(config, site, progress)?;
    let model = resume::first_model(config, site)?;
    let context = model.config().context();
    // A replayed run keeps its prompts.
    let began = session.rollouts.began().unwrap_or(site.now);
    let setup = open(config, &session, context, began)?;
    let run = RunDir::create(path, &to_toml(config), &environment(site, &setup, began))?;
    let mut progress = Logged::new(progress, run.path())?;
    let trainer = Trainer::new(config.clone(), setup, model);
    Running::new(config, run, trainer, session, &mut progress).begin_anew()
}

fn go_on(
    config: &RunConfig,
    site: &RunSite,
    run: RunDir,
    session: Session<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    if !session.allow_changes {
        resume::refuse_changes(run.path(), config)?;
    }
    let steps = session.rollouts.steps(config.train.steps);
    if let Some(Evaluations { before, after, .. }) = Evaluations::of_finished(run.path(), steps) {
        return Ok(Finished { before, after, run: run.path().into(), already: Some(steps) });
    }
    let mut progress = Logged::new(progress, run.path())?;
    memory_estimate::check(config, site, &mut progress)?;
    let context = load_config(&config.model)?.context();
    // Runs of older versions didn't record when they began.
    let began = run.began().map_or(site.now, Moment::from_unix);
    let setup = open(config, &session, context, began)?;
    let found = resume::checkpoint(&run, &mut progress)?;
    let step = found.as_ref().map_or(0, |found| found.state.step);
    if let Some(found) = &found {
        resume::refuse_other_model(run.path(), config, found)?;
    }
    if let Some(found) = found.as_ref().filter(|_| !session.allow_changes) {
        resume::refuse_other_tasks(run.path(), &resume::digest(&*setup.env), found)?;
    }
    let environment = environment(site, &setup, began);
    let trainer = match &found {
        Some(found) => resume::trainer(config, site, setup, found)?,
        None => Trainer::new(config.clone(), setup, resume::first_model(config, site)?),
    };
    let records = run.rewind(step)?;
    Evaluations::set_aside(&run, step)?;
    run.replace_config(&to_toml(config), step)?;
    run.replace_environment(&environment, step)?;
    progress.line(&format!("{}: goes on after step {step} of {steps}", run.path().display()));
    for line in &records {
        progress.metrics(line);
    }
    let mut running = Running::new(config, run, trainer, session, &mut progress);
    running.records = records;
    match found {
        Some(found) => running.from(step, found.state.before),
        None => running.begin_anew(),
    }
}

/// Opens the setup of a run. Templates show the date on which the run began, however long it takes.
fn open(
    config: &RunConfig,
    session: &Session<'_>,
    context: usize,
    began: Moment,
) -> Result<Setup, TrainError> {
    let tokenizer = tokenizer(&config.model)?;
    // Recorded trajectories have the outputs of their tools.
    let plays = session.rollouts.is_on_policy() || config.eval.tasks > 0;
    let offer = if plays { config.offer() } else { Offer::from(&config.env) };
    let setup = Setup::open(offer, &config.rollout, Some(&config.model), tokenizer, context, began)?;
    if session.rollouts.is_on_policy() && setup.env.count(TaskSplit::Train) == 0 {
        let name = setup.env.name();
        return Err(TrainError::Input(format!(
            "env.{name}: it has no tasks to train on\n  hint: `turnwise eval` plays held-out tasks alone"
        )));
    }
    Ok(setup)
}

fn environment(site: &RunSite, setup: &Setup, began: Moment) -> RunEnvironment {
    RunEnvironment {
        version: env!("CARGO_PKG_VERSION").into(),
        device: site.device_name.clone(),
        executor: serde_json::to_value(setup.executor.describe()).expect("a record of plain values"),
        program_sha256: std::env::current_exe().ok().and_then(|program| file_sha256(&program).ok()),
        git_commit: site.git_commit.clone(),
        began: began.unix(),
    }
}

/// Holds a run between two steps.
struct Running<'a> {
    config: &'a RunConfig,
    run: RunDir,
    trainer: Trainer,
    session: Session<'a>,
    progress: &'a mut dyn Progress,
    /// Digest of the tasks.
    tasks: String,
    /// The lines of `metrics.jsonl`.
    records: Vec<StepMetrics>,
    /// Other outputs for metrics; opened with the first step.
    sinks: Option<Sinks>,
}

impl<'a> Running<'a> {
    fn new(
        config: &'a RunConfig,
        run: RunDir,
        trainer: Trainer,
        session: Session<'a>,
        progress: &'a mut dyn Progress,
    ) -> Self {
        let tasks = resume::digest(&*trainer.setup().env);
        Self { config, run, trainer, session, progress, tasks, records: Vec::new(), sinks: None }
    }

    fn begin_anew(mut self) -> Result<Finished, TrainError> {
        let before = self.measure()?;
        self.progress.line(&format!("before: {}", before.sentence()));
        self.from(0, before)
    }

    /// Takes the remaining steps and ends the run.
    fn from(mut self, first: usize, before: Evaluation) -> Result<Finished, TrainError> {
        let steps = self.steps();
        let mut measured = None;
        self.sinks = Some(Sinks::open(&self.config.sinks, &self.run, &self.records)?);
        self.stop_if_asked(first)?;
        for step in first..steps {
            let (held_out, alarm) = self.step(step)?;
            measured = held_out;
            let done = step + 1;
            let due = done == steps || done % self.config.train.checkpoint_every == 0;
            // A checkpoint never holds NaN weights.
            let whole = alarm.as_ref().is_none_or(|alarm| alarm.guard != guards::NON_FINITE);
            // The flag is read once: a later signal ends the run after the next step, whose checkpoint is
            // written.
            let stopping = self.stopping();
            if whole && (due || alarm.is_some() || stopping) {
                self.checkpoint(done, &before, measured.as_ref())?;
            }
            if let Some(Finding { guard, cause, remedy, .. }) = alarm {
                return Err(TrainError::Guard {
                    run: self.run.path().into(),
                    step: done,
                    guard,
                    cause,
                    remedy,
                });
            }
            if stopping {
                self.stop_if_asked(done)?;
            }
        }
        self.stop_if_asked(steps)?;
        let after = match measured {
            Some(measured) => measured,
            None => self.measure()?,
        };
        let path = self.run.path().to_path_buf();
        // A run whose steps were lowered keeps the steps that it has done.
        let evaluations = Evaluations { before, after, steps: Some(steps.max(first)) };
        // Evaluations come last, because a run that has them counts as finished.
        evaluations.write(&self.run)?;
        let Evaluations { before, after, .. } = evaluations;
        Ok(Finished { before, after, run: path, already: None })
    }

    /// Takes one step and flushes its records to disk. Returns the held-out evaluation after it, if one is
    /// due, and the guard that ends the run, if one does.
    fn step(&mut self, step: usize) -> Result<(Option<Evaluation>, Option<Finding>), TrainError> {
        let steps = self.steps();
        let phase = Phase::begin();
        let rollouts = self.session.rollouts.step(step, &self.trainer, self.progress);
        self.log_env();
        let rollouts = rollouts?;
        let record = self.trainer.learn_from(step, rollouts, phase.spent())?;
        if let Some(sentence) = record.losses() {
            self.progress.line(&sentence);
        }
        self.run.write_replaced(step, &record.replaced_lines())?;
        self.run.write_rollouts(step, &record.rollout_lines())?;
        self.progress.phase("steps", steps as u64);
        self.progress.advance(step as u64 + 1);
        self.progress.line(&record.sentence(steps));
        self.progress.rollout(&excerpt(&record));
        self.records.push(record.metrics());
        let alarm = self.guard();
        let every = self.config.train.eval_every;
        let due = alarm.is_none() && every > 0 && (step + 1).is_multiple_of(every);
        let measured = if due { Some(self.measure()?) } else { None };
        let line = self.records.last_mut().expect("this step's record was just pushed");
        if let Some(measured) = &measured {
            line.held_out_accuracy = measured.accuracy.into();
        }
        self.run.append(line, &record.times())?;
        self.progress.metrics(line);
        if let Some(sinks) = &mut self.sinks {
            sinks.add(&self.run, line)?;
        }
        Ok((measured, alarm))
    }

    /// Notes the firing guards in the last record, and reports those that didn't fire before. Returns the one
    /// that ends the run.
    fn guard(&mut self) -> Option<Finding> {
        let watched = Watched {
            on_policy: self.session.rollouts.is_on_policy(),
            full_precision: self.config.optimizer.precision == Precision::F32,
            loss: self.config.loss.name(),
        };
        let findings = guards::findings(&self.records, &self.config.guards, watched);
        let (last, before) = self.records.split_last_mut().expect("a step has a record");
        last.guards = findings.iter().map(|finding| finding.guard.into()).collect();
        let known = before.last().map_or(&[][..], |record| &record.guards);
        for Finding { guard, cause, remedy, .. } in &findings {
            if !known.iter().any(|name| name == guard) {
                let step = before.len() + 1;
                self.progress.line(&format!("guard {guard} at step {step}: {cause}\n  hint: {remedy}"));
            }
        }
        findings.into_iter().find(|finding| finding.action == Action::Stop)
    }

    /// Writes a complete model folder, with the optimizer's moments and the state of the run.
    fn checkpoint(
        &self,
        step: usize,
        before: &Evaluation,
        measured: Option<&Evaluation>,
    ) -> Result<(), TrainError> {
        let state = State {
            step,
            updates: self.trainer.optimizer().updates(),
            before: before.clone(),
            held_out_accuracy: measured.map(|measured| measured.accuracy),
            tasks: self.tasks.clone(),
        };
        self.run.write_checkpoint(step, |folder| -> Result<(), TrainError> {
            let family = family_of(&self.config.model)?;
            save(self.trainer.model(), family, Some(&self.config.model), folder)?;
            if let Some(lora) = &self.config.optimizer.lora {
                let base = self.config.model.to_string_lossy();
                save_adapter(self.trainer.model(), lora, &base, &folder.join(ADAPTER))?;
            }
            self.trainer.optimizer().save(&folder.join(OPTIMIZER)).map_err(TrainError::Input)?;
            if let Some(draw) = self.trainer.draw().state() {
                resume::write_draw(draw, folder)?;
            }
            Ok(state.seal(folder)?)
        })?;
        let train = &self.config.train;
        Ok(prune(&self.run.checkpoints(), train.keep, train.keep_best)?)
    }

    fn steps(&self) -> usize {
        self.session.rollouts.steps(self.config.train.steps)
    }

    fn stopping(&self) -> bool {
        self.session.stop.load(Ordering::Relaxed)
    }

    /// Ends the run between two steps, if the stop flag is set.
    fn stop_if_asked(&mut self, done: usize) -> Result<(), TrainError> {
        let steps = self.steps();
        if !self.stopping() {
            return Ok(());
        }
        let stopped = TrainError::Stopped { run: self.run.path().into(), step: done, steps };
        self.progress.line(&format!("stopped after step {done} of {steps}"));
        Err(stopped)
    }

    fn measure(&mut self) -> Result<Evaluation, TrainError> {
        let (config, progress) = (self.config, &mut *self.progress);
        let (phase, mut started) = (Phase::begin(), false);
        let mut told = |done: usize, total: usize| {
            if !started {
                progress.phase("evaluating", total as u64);
                started = true;
            }
            progress.advance(done as u64);
        };
        let (trainer, eval, rewards) = (&self.trainer, &config.eval, &config.reward);
        let (setup, seed) = (trainer.setup(), config.train.seed);
        let (model, cache) = (trainer.model().for_sampling(), trainer.cache_budget());
        let measured = match setup.env.agent() {
            Some(agent) => evaluate_agents(&model, (setup, agent), eval, rewards, seed, cache, &mut told),
            None => evaluate(&model, &setup.game(), eval, rewards, seed, cache, &mut told),
        };
        self.log_env();
        let measured = measured?;
        self.progress.line(&format!("evaluated: {}", phase.spent()));
        Ok(measured)
    }

    /// Writes what programs of the environment said into the run's log.
    fn log_env(&mut self) {
        for line in self.trainer.setup().env.take_log() {
            self.progress.line(&line);
        }
    }
}
