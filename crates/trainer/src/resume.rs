//! Resumes a run from its directory: checks that it may go on, and finds the checkpoint.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use turnwise_curriculum::DrawState;
use turnwise_envs::{Env, Task, TaskSplit};
use turnwise_files::own;
use turnwise_model::{LoraConfig, Transformer, adapter_config, load};
use turnwise_ranks::Ranks;
use turnwise_run::checkpoint::{ADAPTER, TASKS, list, newest};
use turnwise_run::manifest::hex;
use turnwise_run::{CONFIG, Checkpoint, Evaluations, RunDir, RunDirError};

use crate::config::{RunConfig, load as load_config, to_toml};
use crate::differences::{Difference, differences};
use crate::error::TrainError;
use crate::learn::trained_part::trained_part;
use crate::play::setup::Setup;
use crate::run_site::RunSite;
use crate::step::Trainer;
use crate::watch::progress::Progress;

/// Returns whether a directory holds an unfinished run of this config that no process works on.
pub fn is_unfinished(path: &Path, config: &RunConfig) -> bool {
    let free = matches!(RunDir::open(path), Ok(Some(_)));
    let same = free && changes(path, config).is_ok_and(|changes| changes.is_empty());
    same && Evaluations::of_finished(path, config.train.steps).is_none()
}

/// Fails if the run was started with another config, unless only `train.steps` has grown.
pub(crate) fn refuse_changes(run: &Path, config: &RunConfig) -> Result<(), TrainError> {
    let found: Vec<Difference> = changes(run, config)?.into_iter().filter(|d| !is_extension(d)).collect();
    if found.is_empty() { Ok(()) } else { Err(TrainError::Changed { run: run.into(), differences: found }) }
}

/// Fails if the run has done more steps than it is asked for.
pub(crate) fn refuse_shorter(run: &RunDir, asked: usize) -> Result<(), TrainError> {
    let ended = Evaluations::of_finished(run.path(), asked).and_then(|found| found.steps);
    let saved = list(&run.checkpoints()).pop().filter(|(step, _)| *step > asked);
    // Damaged ones don't count, and looking at them takes time.
    let saved = saved.and_then(|_| newest(&run.checkpoints()).0).map(|found| found.state.step);
    match ended.max(saved).filter(|done| *done > asked) {
        Some(done) => Err(TrainError::Shorter { run: run.path().into(), done, asked }),
        None => Ok(()),
    }
}

fn changes(run: &Path, config: &RunConfig) -> Result<Vec<Difference>, TrainError> {
    let path = run.join(CONFIG);
    let failed = |reason: String| TrainError::Input(format!("{}: {reason}", path.display()));
    // Keys that are newer than the run have their defaults in it.
    let before = match load_config::<RunConfig>(Some(&path), &[], &[]) {
        Ok(before) => to_toml(&before),
        Err(_) => turnwise_files::read_to_string(&path, turnwise_files::SETTINGS)
            .map_err(|error| failed(error.to_string()))?,
    };
    differences(&before, &to_toml(config)).map_err(|error| failed(error.message().to_string()))
}

/// Fails if a run that trains all weights would go on with another model folder. Its weights would be the
/// checkpoint's, its tokenizer and configuration the new folder's. An adapter may move to another model.
pub(crate) fn refuse_other_model(
    run: &Path,
    config: &RunConfig,
    checkpoint: &Checkpoint,
) -> Result<(), TrainError> {
    let change = changes(run, config)?.into_iter().find(|change| change.key == "model");
    let Some(Difference { before: Some(before), after: Some(after), .. }) = change else { return Ok(()) };
    if config.optimizer.lora.is_some() {
        return Ok(());
    }
    Err(TrainError::Input(format!(
        "model: {} was trained from {before}, not from {after}, and a run goes on with what it trains\n  \
         hint: another run can begin with the other model: --set model={} --run FOLDER",
        checkpoint.path.display(),
        config.model.display()
    )))
}

/// Whether a difference only adds steps, which changes nothing about those that were done.
fn is_extension(difference: &Difference) -> bool {
    let steps = |value: &Option<String>| value.as_ref().and_then(|value| value.parse::<u64>().ok());
    difference.key == "train.steps" && steps(&difference.before) < steps(&difference.after)
}

/// Returns the checkpoint to go on from. Names damaged ones that are newer, and keeps them under another
/// name.
pub(crate) fn checkpoint(
    run: &RunDir,
    progress: &mut dyn Progress,
) -> Result<Option<Checkpoint>, TrainError> {
    let (found, damaged) = newest(&run.checkpoints());
    for damaged in damaged {
        let aside = damaged.set_aside()?;
        progress.line(&format!(
            "{}: damaged, {}; skipped, now called {}",
            damaged.path.display(),
            damaged.reason,
            aside.file_name().unwrap_or_default().to_string_lossy()
        ));
    }
    Ok(found)
}

/// Loads the policy before the first step.
pub(crate) fn first_model(config: &RunConfig, site: &RunSite) -> Result<Transformer, TrainError> {
    let model = load(&config.model, &site.device.clone().autodiff())?;
    trained_part(model, &config.optimizer, config.train.seed, site, None)
}

/// Restores a trainer as it was when the checkpoint was written.
pub(crate) fn trainer(
    config: &RunConfig,
    site: &RunSite,
    setup: Setup,
    checkpoint: &Checkpoint,
    ranks: Arc<dyn Ranks>,
) -> Result<Trainer, TrainError> {
    let adapter = checkpoint.path.join(ADAPTER);
    refuse_other_part(config, checkpoint, &adapter)?;
    // A checkpoint beside an adapter holds the merged weights, which would round differently.
    let (base, adapter) = match config.optimizer.lora {
        Some(_) => (&config.model, Some(adapter.as_path())),
        None => (&checkpoint.path, None),
    };
    let model = load(base, &site.device.clone().autodiff())?;
    let model = trained_part(model, &config.optimizer, config.train.seed, site, adapter)?;
    let first = if config.needs_reference() { first_model(config, site)? } else { model.clone() };
    let mut trainer = Trainer::new(config.clone(), setup, first).among(ranks);
    trainer.resume(model, &checkpoint.path, checkpoint.state.updates)?;
    let mut draw = read_draw(&checkpoint.path)?;
    if !same_tasks(&digest(&*trainer.setup().env), &checkpoint.state.tasks) {
        // The numbers of tasks mean other ones now.
        draw.attempts.clear();
    }
    trainer.resume_draw(draw);
    Ok(trainer)
}

/// Writes the state of the draw of tasks into the folder of a checkpoint.
pub(crate) fn write_draw(state: &DrawState, folder: &Path) -> Result<(), RunDirError> {
    let path = folder.join(TASKS);
    let mut text = serde_json::to_vec(state).expect("numbers under numbers");
    text.push(b'\n');
    own::write(&path, &text).map_err(|source| RunDirError::Write { path, source })
}

/// Reads the state of the draw of tasks. Without the file it is that of a new run.
fn read_draw(checkpoint: &Path) -> Result<DrawState, TrainError> {
    let path = checkpoint.join(TASKS);
    if !path.exists() {
        return Ok(DrawState::default());
    }
    let read = own::read(&path, turnwise_files::TEXT).map_err(|error| error.to_string());
    let state = read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()));
    let state = state.and_then(|state: DrawState| state.damage().map_or(Ok(state), Err));
    state.map_err(|reason| TrainError::Input(format!("{}: {reason}", path.display())))
}

/// Fails if the config trains another part of the model than the checkpoint holds. The scale of an adapter
/// may change, and applies from here on.
fn refuse_other_part(config: &RunConfig, checkpoint: &Checkpoint, adapter: &Path) -> Result<(), TrainError> {
    let folder = checkpoint.path.display();
    let refused = |what: String| {
        Err(TrainError::Input(format!(
            "optimizer.lora: {what}, and a run goes on with what it trains\n  \
             hint: another run can begin with these weights: --set model={folder} --run FOLDER"
        )))
    };
    match (&config.optimizer.lora, adapter.is_dir()) {
        (None, false) => Ok(()),
        (None, true) => refused(format!("{folder} trains an adapter, the config all weights")),
        (Some(_), false) => refused(format!("{folder} trains all weights, the config an adapter")),
        (Some(lora), true) => {
            lora.check().map_err(|message| TrainError::Input(format!("optimizer.{message}")))?;
            let saved = adapter_config(adapter)?;
            let targets = |lora: &LoraConfig| -> BTreeSet<String> { lora.targets.iter().cloned().collect() };
            let listed = |lora: &LoraConfig| targets(lora).into_iter().collect::<Vec<_>>().join(", ");
            if lora.rank != saved.rank {
                return refused(format!("{folder} has rank {}, the config {}", saved.rank, lora.rank));
            }
            if targets(lora) != targets(&saved) {
                let (there, wanted) = (listed(&saved), listed(lora));
                return refused(format!("{folder} adapts {there}; the config {wanted}"));
            }
            Ok(())
        }
    }
}

/// Fails if the environment has other tasks than those that the run began with.
pub(crate) fn refuse_other_tasks(run: &Path, now: &str, checkpoint: &Checkpoint) -> Result<(), TrainError> {
    if same_tasks(&checkpoint.state.tasks, now) {
        return Ok(());
    }
    Err(TrainError::Input(format!(
        "{}: the environment has other tasks, tools or prompts than when the run was started\n  \
         hint: put its data or program back, or go on with the new ones by --allow-changes",
        run.display()
    )))
}

/// Returns whether two digests are of the same tasks. One without an opening is compared without it.
pub(crate) fn same_tasks(one: &str, other: &str) -> bool {
    let parts = |digest: &str| -> (String, Option<String>) {
        let parts = digest.split_once(':');
        parts.map_or((digest.into(), None), |(tasks, opening)| (tasks.into(), Some(opening.into())))
    };
    let ((one, opening), (other, again)) = (parts(one), parts(other));
    one == other && (opening.is_none() || again.is_none() || opening == again)
}

/// Returns the SHA-256 of all tasks, in their order. An outside environment names its tasks later. The digest
/// then holds their numbers, and after a colon the tools and the opening of one task.
pub(crate) fn digest(env: &dyn Env) -> String {
    let mut tasks = Digested::default();
    for (known, split) in [(env.train(), TaskSplit::Train), (env.held_out(), TaskSplit::HeldOut)] {
        tasks.add(&env.count(split).to_string());
        for task in known {
            tasks.add_task(task);
        }
    }
    let tasks = tasks.finish();
    let Some(task) = opened(env) else { return tasks };
    let mut opening = Digested::default();
    opening.add(&serde_json::to_string(env.tools()).expect("a schema is JSON"));
    opening.add_task(&task);
    format!("{tasks}:{}", opening.finish())
}

/// Returns the first task of an outside environment, unless it can't be opened.
fn opened(env: &dyn Env) -> Option<Task> {
    let known = !env.train().is_empty() || !env.held_out().is_empty();
    let split = [TaskSplit::HeldOut, TaskSplit::Train].into_iter().find(|split| env.count(*split) > 0)?;
    let task = if known || env.agent().is_some() { None } else { env.task(split, 0).ok() };
    task.filter(|task| task.messages.iter().any(|message| !message.content.is_empty()))
}

#[derive(Default)]
struct Digested(Sha256);

impl Digested {
    fn add(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn add_task(&mut self, task: &Task) {
        self.add(&task.id);
        self.add(&task.answer);
        for message in &task.messages {
            self.add(message.role.name());
            self.add(&message.content);
        }
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_is_compared_where_both_have_one() {
        for (one, other, expect) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a:x", "a:x", true),
            ("a:x", "a:y", false),
            ("a:x", "a", true),
            ("a:x", "b", false),
        ] {
            assert_eq!(same_tasks(one, other), expect, "{one} {other}");
            assert_eq!(same_tasks(other, one), expect, "{other} {one}");
        }
    }

    #[test]
    fn only_more_steps_change_nothing() {
        let check = |key: &str, before: &str, after: &str, expect: bool| {
            let difference =
                Difference { key: key.into(), before: Some(before.into()), after: Some(after.into()) };
            assert_eq!(is_extension(&difference), expect, "{difference}");
        };
        check("train.steps", "60", "120", true);
        check("train.steps", "9", "10", true);
        check("train.steps", "120", "60", false);
        check("train.seed", "0", "1", false);
    }
}
