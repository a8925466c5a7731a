//! Takes the steps of a run. Its files are written between them, so the process may die at any moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use turnwise_credit::absent_names;
use turnwise_model::{family_of, save, save_adapter};
use turnwise_ranks::{Alone, Ranks};
use turnwise_run::checkpoint::ADAPTER;
use turnwise_run::{Evaluation, Evaluations, RunDir, State, StepMetrics, prune};
use turnwise_tools::Executor;

use crate::ahead::{self, Ahead};
use crate::config::RunConfig;
use crate::error::TrainError;
use crate::play::evaluate::{evaluate_among, evaluate_on};
use crate::play::evaluate_agents;
use crate::play::source::{Play, RolloutSource};
use crate::ranks::agree::{agree, gather, lead, said};
use crate::record::StepRecord;
use crate::resume;
use crate::step::Trainer;
use crate::step_rollouts::StepRollouts;
use crate::watch::excerpt::excerpt;
use crate::watch::guards::{self, Action, Finding, Rounding, Watched};
use crate::watch::phase::{Phase, Spent};
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
pub struct RunOptions<'a> {
    /// Goes on although config or tasks differ from those that the run was started with.
    pub allow_changes: bool,
    /// Once true, the run ends after the current step, with a checkpoint.
    pub stop: &'a AtomicBool,
    /// The source of rollouts.
    pub rollouts: &'a dyn RolloutSource,
    /// The processes of the run. Rank 0 alone writes and tells progress.
    pub ranks: Arc<dyn Ranks>,
    /// The executor, if it has been started: its processes fork, which those under MPI shouldn't.
    pub executor: Option<Box<dyn Executor>>,
}

/// The stop flag of runs that nothing stops.
static NEVER: AtomicBool = AtomicBool::new(false);

impl Default for RunOptions<'_> {
    fn default() -> Self {
        let ranks = Arc::new(Alone);
        Self { allow_changes: false, stop: &NEVER, rollouts: &Play, ranks, executor: None }
    }
}

/// Holds a run between two steps.
pub(crate) struct Running<'a> {
    config: &'a RunConfig,
    path: &'a Path,
    /// The directory, on rank 0.
    run: Option<RunDir>,
    trainer: Trainer,
    options: RunOptions<'a>,
    progress: &'a mut dyn Progress,
    /// Digest of the tasks.
    pub(crate) tasks: String,
    /// The lines of `metrics.jsonl`, on rank 0.
    pub(crate) records: Vec<StepMetrics>,
    /// Other outputs for metrics; opened with the first step, on rank 0.
    sinks: Option<Sinks>,
    /// The rollouts of the next step, if they are played already.
    pub(crate) ahead: Option<Ahead>,
}

impl<'a> Running<'a> {
    /// Returns a run before its next step.
    pub(crate) fn new(
        config: &'a RunConfig,
        path: &'a Path,
        run: Option<RunDir>,
        trainer: Trainer,
        options: RunOptions<'a>,
        progress: &'a mut dyn Progress,
    ) -> Self {
        let tasks = resume::digest(&*trainer.setup().env);
        Self {
            config,
            path,
            run,
            trainer,
            options,
            progress,
            tasks,
            records: Vec::new(),
            sinks: None,
            ahead: None,
        }
    }

    /// Evaluates the policy, and takes all steps.
    pub(crate) fn begin(mut self) -> Result<Finished, TrainError> {
        let before = self.measure()?;
        self.progress.line(&format!("before: {}", before.sentence()));
        self.from(0, before)
    }

    /// Takes the remaining steps and ends the run.
    pub(crate) fn from(mut self, first: usize, before: Evaluation) -> Result<Finished, TrainError> {
        let steps = self.steps();
        let mut measured = None;
        let open = |run: &RunDir| Ok(Sinks::open(&self.config.sinks, run, &self.records)?);
        self.sinks = self.written(open)?;
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
            let stopping = self.stopping()?;
            if whole && (due || alarm.is_some() || stopping) {
                self.checkpoint(done, &before, measured.as_ref())?;
            }
            if let Some(Finding { guard, cause, remedy, .. }) = alarm {
                return Err(TrainError::Guard { run: self.path.into(), step: done, guard, cause, remedy });
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
        let path = self.path.to_path_buf();
        // A run whose steps were lowered keeps the steps that it has done.
        let evaluations = Evaluations { before, after, steps: Some(steps.max(first)) };
        // Evaluations come last, because a run that has them counts as finished.
        self.written(|run| Ok(evaluations.write(run)?))?;
        let Evaluations { before, after, .. } = evaluations;
        Ok(Finished { before, after, run: path, already: None })
    }

    /// Takes one step and flushes its records to disk. Returns the held-out evaluation after it, if one is
    /// due, and the guard that ends the run, if one does.
    fn step(&mut self, step: usize) -> Result<(Option<Evaluation>, Option<Finding>), TrainError> {
        let steps = self.steps();
        let Ahead { rollouts, spent, .. } = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.play(step)?,
        };
        let (record, ahead) = self.learn(step, rollouts, spent)?;
        for line in record.lost_lines() {
            self.progress.line(&line);
        }
        // A name that is mistyped weighs nothing. Later steps would say the same.
        if self.records.is_empty() {
            let reward = &self.config.reward;
            if let Some(absent) = absent_names(&reward.weights, &reward.normalise, &record.groups) {
                self.progress.line(&format!("step {}: {absent}", step + 1));
            }
        }
        self.written(|run| {
            run.write_replaced(step, &record.replaced_lines())?;
            Ok(run.write_rollouts(step, &record.rollout_lines())?)
        })?;
        self.progress.phase("steps", steps as u64);
        self.progress.advance(step as u64 + 1);
        self.progress.line(&record.sentence(steps));
        self.progress.rollout(&excerpt(&record));
        self.records.push(record.metrics());
        let alarm = self.guard()?;
        let every = self.config.train.eval_every;
        let due = alarm.is_none() && every > 0 && (step + 1).is_multiple_of(every);
        let measured = if due { Some(self.measure()?) } else { None };
        let line = self.records.last_mut().expect("this step's record was just pushed");
        if let Some(measured) = &measured {
            line.held_out_accuracy = measured.accuracy.into();
        }
        self.progress.metrics(line);
        let (line, mut sinks) = (line.clone(), self.sinks.take());
        self.written(|run| {
            run.append(&line, &record.times())?;
            sinks.as_mut().map_or(Ok(()), |sinks| Ok(sinks.add(run, &line)?))
        })?;
        self.sinks = sinks;
        // A checkpoint without the play that belongs to it would go on with another one.
        self.ahead = ahead.transpose()?;
        Ok((measured, alarm))
    }

    /// Returns the rollouts of a step from their source.
    fn play(&mut self, step: usize) -> Result<Ahead, TrainError> {
        let phase = Phase::begin();
        let rollouts = self.options.rollouts.step(step, &self.trainer, self.progress);
        self.log_env();
        Ok(Ahead { step, rollouts: rollouts?, spent: phase.spent() })
    }

    /// Learns from the rollouts of a step. With a lag the next one is played meanwhile, with the weights
    /// before the update.
    fn learn(
        &mut self,
        step: usize,
        rollouts: StepRollouts,
        spent: Spent,
    ) -> Result<(StepRecord, Option<Result<Ahead, TrainError>>), TrainError> {
        let last = step + 1 >= self.steps();
        if self.config.rollout.lag == 0 || last || !self.options.rollouts.is_on_policy() {
            return Ok((self.trainer.learn_from(step, rollouts, spent)?, None));
        }
        let learnt = ahead::learn(&mut self.trainer, step, rollouts, spent, self.progress);
        self.log_env();
        let (record, ahead) = learnt?;
        Ok((record, Some(ahead)))
    }

    /// Writes into the directory of the run. Rank 0 does, and all ranks see its error.
    fn written<T>(
        &self,
        write: impl FnOnce(&RunDir) -> Result<T, TrainError>,
    ) -> Result<Option<T>, TrainError> {
        lead(&*self.options.ranks, || write(self.run.as_ref().expect("rank 0 has the directory")))
    }

    /// Notes the firing guards in the last record, and reports those that didn't fire before. Returns the one
    /// that ends the run, as rank 0 finds it.
    fn guard(&mut self) -> Result<Option<Finding>, TrainError> {
        let watched = Watched {
            // After an update the policy has moved from the one that played.
            on_policy: self.options.rollouts.is_on_policy() && self.config.rollout.lag == 0,
            rounding: Rounding::of(self.config),
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
        let found = findings.into_iter().find(|finding| finding.action == Action::Stop);
        let told = said(&*self.options.ranks, || {
            Ok(found
                .as_ref()
                .map(|found| (found.guard.to_string(), found.cause.clone(), found.remedy.clone())))
        })?;
        let finding = |(guard, cause, remedy): (String, String, String)| {
            let guard =
                guards::NAMES.into_iter().find(|name| *name == guard).expect("a guard of this program");
            Finding { guard, action: Action::Stop, cause, remedy }
        };
        Ok(told.map(finding))
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
        let Some(run) = &self.run else {
            // Rank 0 asks for the moments of the others.
            let handed = self.trainer.save_moments(None);
            return agree(&*self.options.ranks, handed);
        };
        let mut asked = false;
        let written = run.write_checkpoint(step, |folder| -> Result<(), TrainError> {
            let saved = self.save_weights(folder);
            asked = true;
            let moments = self.trainer.save_moments(saved.is_ok().then_some(folder));
            saved.and(moments)?;
            if let Some(draw) = self.trainer.draw().state() {
                resume::write_draw(draw, folder)?;
            }
            if let Some(ahead) = &self.ahead {
                ahead.write(folder)?;
            }
            Ok(state.seal(folder)?)
        });
        if !asked {
            self.trainer.save_moments(None)?;
        }
        let train = &self.config.train;
        let pruned = written.and_then(|_| Ok(prune(&run.checkpoints(), train.keep, train.keep_best)?));
        agree(&*self.options.ranks, pruned)
    }

    fn save_weights(&self, folder: &Path) -> Result<(), TrainError> {
        let family = family_of(&self.config.model)?;
        save(self.trainer.model(), family, Some(&self.config.model), folder)?;
        if let Some(lora) = &self.config.optimizer.lora {
            let base = self.config.model.to_string_lossy();
            save_adapter(self.trainer.model(), lora, &base, &folder.join(ADAPTER))?;
        }
        Ok(())
    }

    fn steps(&self) -> usize {
        self.options.rollouts.steps(self.config.train.steps)
    }

    /// Whether the run should end, as any rank has heard.
    fn stopping(&self) -> Result<bool, TrainError> {
        let heard = gather(&*self.options.ranks, Ok(self.options.stop.load(Ordering::Relaxed)))?;
        Ok(heard.contains(&true))
    }

    /// Ends the run between two steps, if the stop flag is set.
    fn stop_if_asked(&mut self, done: usize) -> Result<(), TrainError> {
        let steps = self.steps();
        if !self.stopping()? {
            return Ok(());
        }
        let stopped = TrainError::Stopped { run: self.path.into(), step: done, steps };
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
        let (game, ranks) = (setup.game(), &*self.options.ranks);
        let measured = if let Some(servers) = trainer.servers() {
            let policy = (trainer.model(), trainer.optimizer().updates() as u64);
            evaluate_on(servers, policy, &game, eval, rewards, seed, &mut told)
        } else {
            let (model, cache) = (trainer.model().for_sampling(), trainer.cache_budget());
            match setup.env.agent() {
                // Its programs run on one machine.
                Some(agent) => said(ranks, || {
                    evaluate_agents(&model, (setup, agent), eval, rewards, seed, cache, &mut told)
                }),
                None => evaluate_among(ranks, &model, &game, eval, rewards, seed, cache, &mut told),
            }
        };
        self.log_env();
        let measured = measured?;
        self.progress.line(&format!("evaluated: {}", phase.spent()));
        measured.lost_lines().iter().for_each(|line| self.progress.line(line));
        Ok(measured)
    }

    /// Writes what programs of the environment said into the run's log.
    fn log_env(&mut self) {
        for line in self.trainer.setup().env.take_log() {
            self.progress.line(&line);
        }
    }
}
