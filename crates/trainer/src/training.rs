//! Runs training: steps, and the files written between them so that the process may die at any moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use turnwise_envs::TaskSplit;
use turnwise_model::{family_of, load_config, save, save_adapter};
use turnwise_ranks::{Alone, Ranks};
use turnwise_rollout::chat::Moment;
use turnwise_run::checkpoint::ADAPTER;
use turnwise_run::manifest::file_sha256;
use turnwise_run::{
    Checkpoint, Evaluation, Evaluations, Log, RunDir, RunEnvironment, State, StepMetrics, prune,
};
use turnwise_tools::Executor;

use crate::ahead::{self, Ahead};
use crate::config::{Precision, RunConfig, to_toml};
use crate::error::TrainError;
use crate::found::found;
use crate::memory_estimate;
use crate::play::evaluate::{evaluate_among, evaluate_on};
use crate::play::setup::{Setup, tokenizer};
use crate::play::source::{Play, RolloutSource};
use crate::play::{Offer, RunServers, evaluate_agents};
use crate::ranks::agree::{agree, gather, lead, said};
use crate::record::StepRecord;
use crate::resume;
use crate::run_site::RunSite;
use crate::step::Trainer;
use crate::step_rollouts::StepRollouts;
use crate::watch::excerpt::excerpt;
use crate::watch::guards::{self, Action, Finding, Watched};
use crate::watch::logged::Logged;
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
pub struct Session<'a> {
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

impl Default for Session<'_> {
    fn default() -> Self {
        let ranks = Arc::new(Alone);
        Self { allow_changes: false, stop: &NEVER, rollouts: &Play, ranks, executor: None }
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
    refuse_ranks(config, &*session.ranks)?;
    let lead_config = said(&*session.ranks, || Ok(to_toml(config)))?;
    let other = "its run file or its settings differ from those of rank 0";
    let same = if lead_config == to_toml(config) { Ok(()) } else { Err(TrainError::Input(other.into())) };
    agree(&*session.ranks, same)?;
    // The directory belongs to rank 0.
    let run = lead(&*session.ranks, || Ok(RunDir::open(path)?))?.flatten();
    let known = said(&*session.ranks, || Ok(run.is_some()))?;
    if known {
        go_on(config, site, path, run, session, progress)
    } else {
        begin(config, site, path, session, progress)
    }
}

/// Fails if the shards of a gradient can't be divided among the ranks.
fn refuse_ranks(config: &RunConfig, ranks: &dyn Ranks) -> Result<(), TrainError> {
    let size = ranks.size();
    let reason = match config.optimizer.shards {
        _ if size == 1 => return Ok(()),
        Some(shards) if shards.is_multiple_of(size) => return Ok(()),
        Some(shards) => format!("is {shards}, and {size} ranks can't have equal parts"),
        None => format!("is not set, and {size} ranks divide shards"),
    };
    let next = size.next_power_of_two();
    Err(TrainError::Input(format!(
        "optimizer.shards: {reason}\n  hint: --set optimizer.shards={}, and {next} ranks or another power of two",
        next.max(8)
    )))
}

fn begin(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    mut session: Session<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    let ranks = session.ranks.clone();
    // A replayed run keeps its prompts.
    let began = session.rollouts.began().unwrap_or(site.now);
    let began = said(&*ranks, || Ok(began.unix())).map(Moment::from_unix)?;
    let opened = memory_estimate::check(config, site, progress)
        .and_then(|()| resume::first_model(config, site))
        .and_then(|model| {
            let setup = open(config, &mut session, model.config().context(), began)?;
            let servers = RunServers::open(config, &setup, site.server_key.clone())?;
            Ok((setup, servers, model))
        });
    let (setup, servers, model) = agree(&*ranks, opened)?;
    let environment = environment(site, &setup, began);
    let created = || {
        let run = RunDir::create(path, &to_toml(config), &environment)?;
        let log = Log::open(run.path())?;
        Ok((run, log))
    };
    let (run, log) = lead(&*ranks, created)?.unzip();
    let mut progress = Logged::new(progress, log);
    tell_ranks(&*ranks, site, &mut progress)?;
    let trainer = Trainer::new(config.clone(), setup, model).among(ranks).on_servers(servers);
    Running::new(config, path, run, trainer, session, &mut progress).begin_anew()
}

fn go_on(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    run: Option<RunDir>,
    mut session: Session<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    let ranks = session.ranks.clone();
    let steps = session.rollouts.steps(config.train.steps);
    let mine = || run.as_ref().expect("rank 0 has the directory");
    let allow_changes = session.allow_changes;
    let finished = said(&*ranks, || {
        if !allow_changes {
            resume::refuse_changes(path, config)?;
        }
        Ok(Evaluations::of_finished(path, steps))
    })?;
    if let Some(Evaluations { before, after, .. }) = finished {
        return Ok(Finished { before, after, run: path.into(), already: Some(steps) });
    }
    let log = lead(&*ranks, || Ok(Log::open(path)?))?;
    let mut progress = Logged::new(progress, log);
    let (began, found) = found(&*ranks, run.as_ref(), (config, site, path), &mut progress)?;
    let step = found.as_ref().map_or(0, |found| found.state.step);
    let opened = memory_estimate::check(config, site, &mut progress)
        .and_then(|()| reopen(config, site, path, &mut session, began, found.as_ref()));
    let (environment, trainer) = agree(&*ranks, opened)?;
    let rewound = lead(&*ranks, || {
        let run = mine();
        let records = run.rewind(step)?;
        Evaluations::set_aside(run, step)?;
        run.replace_config(&to_toml(config), step)?;
        run.replace_environment(&environment, step)?;
        progress.line(&format!("{}: goes on after step {step} of {steps}", path.display()));
        for line in &records {
            progress.metrics(line);
        }
        Ok(records)
    })?;
    tell_ranks(&*ranks, site, &mut progress)?;
    let mut running = Running::new(config, path, run, trainer, session, &mut progress);
    running.records = rewound.unwrap_or_default();
    match found {
        Some(found) => {
            if config.rollout.lag > 0 {
                let read = agree(&*running.session.ranks, Ahead::read(&found.path))?;
                running.ahead = read.filter(|ahead| ahead.step == step);
            }
            running.from(step, found.state.before)
        }
        None => running.begin_anew(),
    }
}

/// Opens the setup of a run that goes on, and restores its trainer.
fn reopen(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    session: &mut Session<'_>,
    began: Moment,
    found: Option<&Checkpoint>,
) -> Result<(RunEnvironment, Trainer), TrainError> {
    let ranks = session.ranks.clone();
    let setup = open(config, session, load_config(&config.model)?.context(), began)?;
    if let Some(found) = found.filter(|_| !session.allow_changes) {
        resume::refuse_other_tasks(path, &resume::digest(&*setup.env), found)?;
    }
    let environment = environment(site, &setup, began);
    let servers = RunServers::open(config, &setup, site.server_key.clone())?;
    let trainer = match found {
        Some(found) => resume::trainer(config, site, setup, found, ranks)?,
        None => Trainer::new(config.clone(), setup, resume::first_model(config, site)?).among(ranks),
    };
    Ok((environment, trainer.on_servers(servers)))
}

/// Says which rank is where, if there are several.
fn tell_ranks(ranks: &dyn Ranks, site: &RunSite, progress: &mut dyn Progress) -> Result<(), TrainError> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let here = gather(ranks, Ok(format!("{:?} of {}", site.device, host.trim())))?;
    let each = here.iter().enumerate().map(|(rank, place)| format!("{rank} on {place}"));
    progress.line(&format!("{} ranks: {}", here.len(), each.collect::<Vec<_>>().join(", ")));
    Ok(())
}

/// Opens the setup of a run. Templates show the date on which the run began, however long it takes.
fn open(
    config: &RunConfig,
    session: &mut Session<'_>,
    context: usize,
    began: Moment,
) -> Result<Setup, TrainError> {
    let tokenizer = tokenizer(&config.model)?;
    // Recorded trajectories have the outputs of their tools.
    let plays = session.rollouts.is_on_policy() || config.eval.tasks > 0;
    let offer = if plays { config.offer() } else { Offer::from(&config.env) };
    let (started, folder) = (session.executor.take(), Some(&*config.model));
    let setup = Setup::open_with(started, offer, &config.rollout, folder, tokenizer, context, began)?;
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
    path: &'a Path,
    /// The directory, on rank 0.
    run: Option<RunDir>,
    trainer: Trainer,
    session: Session<'a>,
    progress: &'a mut dyn Progress,
    /// Digest of the tasks.
    tasks: String,
    /// The lines of `metrics.jsonl`, on rank 0.
    records: Vec<StepMetrics>,
    /// Other outputs for metrics; opened with the first step, on rank 0.
    sinks: Option<Sinks>,
    /// The rollouts of the next step, if they are played already.
    ahead: Option<Ahead>,
}

impl<'a> Running<'a> {
    fn new(
        config: &'a RunConfig,
        path: &'a Path,
        run: Option<RunDir>,
        trainer: Trainer,
        session: Session<'a>,
        progress: &'a mut dyn Progress,
    ) -> Self {
        let tasks = resume::digest(&*trainer.setup().env);
        Self {
            config,
            path,
            run,
            trainer,
            session,
            progress,
            tasks,
            records: Vec::new(),
            sinks: None,
            ahead: None,
        }
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
        if let Some(sentence) = record.losses() {
            self.progress.line(&sentence);
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
        let rollouts = self.session.rollouts.step(step, &self.trainer, self.progress);
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
        if self.config.rollout.lag == 0 || last || !self.session.rollouts.is_on_policy() {
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
        lead(&*self.session.ranks, || write(self.run.as_ref().expect("rank 0 has the directory")))
    }

    /// Notes the firing guards in the last record, and reports those that didn't fire before. Returns the one
    /// that ends the run, as rank 0 finds it.
    fn guard(&mut self) -> Result<Option<Finding>, TrainError> {
        let watched = Watched {
            // Behind an update the policy has moved from the one that played.
            on_policy: self.session.rollouts.is_on_policy() && self.config.rollout.lag == 0,
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
        let found = findings.into_iter().find(|finding| finding.action == Action::Stop);
        let told = said(&*self.session.ranks, || {
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
            return agree(&*self.session.ranks, handed);
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
        agree(&*self.session.ranks, pruned)
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
        self.session.rollouts.steps(self.config.train.steps)
    }

    /// Whether the run should end, as rank 0 has heard.
    fn stopping(&self) -> Result<bool, TrainError> {
        said(&*self.session.ranks, || Ok(self.session.stop.load(Ordering::Relaxed)))
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
        let (game, ranks) = (setup.game(), &*self.session.ranks);
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
        Ok(measured)
    }

    /// Writes what programs of the environment said into the run's log.
    fn log_env(&mut self) {
        for line in self.trainer.setup().env.take_log() {
            self.progress.line(&line);
        }
    }
}
