//! Begins a run, or finds the place from which it goes on.

use std::path::Path;

use turnwise_curriculum::CurriculumConfig;
use turnwise_envs::TaskSplit;
use turnwise_model::load_config;
use turnwise_ranks::Ranks;
use turnwise_rollout::chat::Moment;
use turnwise_run::manifest::file_sha256;
use turnwise_run::{Checkpoint, Evaluations, Log, RunDir, RunEnvironment};

use crate::ahead::Ahead;
use crate::config::{RunConfig, to_toml};
use crate::error::TrainError;
use crate::memory_estimate;
use crate::play::setup::{Setup, tokenizer};
use crate::play::{RunServers, check_precision};
use crate::ranks::agree::{agree, gather, lead, said};
use crate::resume;
use crate::resume_point::resume_point;
use crate::run_site::RunSite;
use crate::step::Trainer;
use crate::training_loop::{Finished, RunOptions, Running};
use crate::watch::logged::Logged;
use crate::watch::progress::Progress;

/// Trains a policy, or resumes it from the newest whole checkpoint of its run directory. On a CPU backend the
/// directory of a resumed run ends with the same bytes as that of an uninterrupted one, times apart. A new
/// run directory is made only when everything that the run needs has been opened.
pub fn train(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    options: RunOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    refuse_ranks(config, &*options.ranks)?;
    let configs = gather(&*options.ranks, Ok(to_toml(config)))?;
    if let Some(rank) = configs.iter().position(|other| *other != configs[0]) {
        let differs = "its run file or its settings differ from those of rank 0";
        return Err(TrainError::Launch(format!("rank {rank}: {differs}")));
    }
    // The directory belongs to rank 0.
    let run = lead(&*options.ranks, || Ok(RunDir::open(path)?))?.flatten();
    let known = said(&*options.ranks, || Ok(run.is_some()))?;
    if known {
        go_on(config, site, path, run, options, progress)
    } else {
        begin(config, site, path, options, progress)
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
    Err(TrainError::Launch(format!(
        "optimizer.shards: {reason}\n  hint: --set optimizer.shards={}, and {next} ranks or another power of two",
        next.max(8)
    )))
}

fn begin(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    mut options: RunOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    let ranks = options.ranks.clone();
    // A replayed run keeps its prompts.
    let began = options.rollouts.began().unwrap_or(site.now);
    let began = said(&*ranks, || Ok(began.unix())).map(Moment::from_unix)?;
    let opened = check_sampler(config, site, &options)
        .and_then(|()| memory_estimate::check(config, site, progress))
        .and_then(|()| resume::first_model(config, site))
        .and_then(|model| {
            let setup = open(config, &mut options, model.config().context(), began)?;
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
    remove_left_behind(&*ranks, servers.as_ref());
    let trainer = Trainer::new(config.clone(), setup, model).among(ranks).on_servers(servers);
    Running::new(config, path, run, trainer, options, &mut progress).begin()
}

fn go_on(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    run: Option<RunDir>,
    mut options: RunOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    let ranks = options.ranks.clone();
    let steps = options.rollouts.steps(config.train.steps);
    let mine = || run.as_ref().expect("rank 0 has the directory");
    let allow_changes = options.allow_changes;
    lead(&*ranks, || resume::refuse_shorter(mine(), steps))?;
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
    let (began, found) = resume_point(&*ranks, run.as_ref(), (config, site, path), &mut progress)?;
    let step = found.as_ref().map_or(0, |found| found.state.step);
    let opened = check_sampler(config, site, &options)
        .and_then(|()| memory_estimate::check(config, site, &mut progress))
        .and_then(|()| reopen(config, site, path, &mut options, began, found.as_ref()));
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
    let mut running = Running::new(config, path, run, trainer, options, &mut progress);
    running.records = rewound.unwrap_or_default();
    match found {
        Some(found) => {
            // The play of other tasks isn't what this run would have played.
            if config.rollout.lag > 0 && resume::same_tasks(&found.state.tasks, &running.tasks) {
                let read = agree(&*ranks, Ahead::read(&found.path))?;
                running.ahead = read.filter(|ahead| ahead.step == step);
            }
            running.from(step, found.state.before)
        }
        None => running.begin(),
    }
}

/// Opens the setup of a run that goes on, and restores its trainer.
fn reopen(
    config: &RunConfig,
    site: &RunSite,
    path: &Path,
    options: &mut RunOptions<'_>,
    began: Moment,
    found: Option<&Checkpoint>,
) -> Result<(RunEnvironment, Trainer), TrainError> {
    let ranks = options.ranks.clone();
    let setup = open(config, options, load_config(&config.model)?.context(), began)?;
    if let Some(found) = found.filter(|_| !options.allow_changes) {
        resume::refuse_other_tasks(path, &resume::digest(&*setup.env), found)?;
    }
    let environment = environment(site, &setup, began);
    let servers = RunServers::open(config, &setup, site.server_key.clone())?;
    let trainer = match found {
        Some(found) => resume::trainer(config, site, setup, found, ranks)?,
        None => Trainer::new(config.clone(), setup, resume::first_model(config, site)?).among(ranks),
    };
    remove_left_behind(&*options.ranks, servers.as_ref());
    Ok((environment, trainer.on_servers(servers)))
}

/// Clears the folder of weights. One rank does, because another might find those that it has begun to push.
fn remove_left_behind(ranks: &dyn Ranks, servers: Option<&RunServers>) {
    if let Some(servers) = servers.filter(|_| ranks.leads()) {
        servers.remove_left_behind();
    }
}

/// Refuses a device whose sampler doesn't round weights, if the policy is to play on it.
fn check_sampler(config: &RunConfig, site: &RunSite, options: &RunOptions<'_>) -> Result<(), TrainError> {
    let plays = options.rollouts.is_on_policy();
    let fits = if plays { check_precision(config.rollout.precision, &site.device) } else { Ok(()) };
    fits.map_err(TrainError::Input)
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
    options: &mut RunOptions<'_>,
    context: usize,
    began: Moment,
) -> Result<Setup, TrainError> {
    let tokenizer = tokenizer(&config.model)?;
    // A curriculum says how often each of the environment's tasks was solved.
    let counts = !matches!(config.rollout.curriculum, CurriculumConfig::Uniform(_));
    let plays = options.rollouts.is_on_policy() || config.eval.tasks > 0 || counts;
    let offer = if plays { config.offer() } else { config.offer_of_records() };
    let (started, folder) = (options.executor.take(), Some(&*config.model));
    let setup = Setup::open_with(started, offer, &config.rollout, folder, tokenizer, context, began)?;
    if options.rollouts.is_on_policy() && setup.env.count(TaskSplit::Train) == 0 {
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
