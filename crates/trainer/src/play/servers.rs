//! The servers of a run: new weights go out as a folder per version, and a probe follows every push.

use std::fs::File;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use burn::module::Module;
use fnv::FnvHasher;
use turnwise_model::{LoraConfig, Transformer, family_of, load_config, save, save_adapter};
use turnwise_ranks::{Alone, Ranks};
use turnwise_rollout::remote::tokens::{Fleet, Gap, Probe, Pushed, Rule, Servers};
use turnwise_run::whole_folder;
use turnwise_trajectory::{Stop, TokenId, Trajectory, Turn};

use crate::config::{RunConfig, SamplingConfig, ServerConfig};
use crate::device::workers;
use crate::error::TrainError;
use crate::learn::learner::Split;
use crate::learn::sampled_logprobs::sampled_logprobs;
use crate::play::setup::Setup;
use crate::ranks::agree::said;

/// Tokens that a probe samples after each context.
const PROBED: usize = 16;
/// Longest context of a probe: more than two blocks of a prefix cache.
const CONTEXT: usize = 64;
/// Folders of weights that are kept: servers may still read the one before.
const KEPT: usize = 2;

/// Holds the servers of a run, and puts the weights of the policy into them.
pub struct RunServers {
    ranks: Arc<dyn Ranks>,
    fleet: Fleet,
    config: ServerConfig,
    /// Model folder that the pushed ones are made like.
    like: PathBuf,
    lora: Option<LoraConfig>,
    probe: Probe,
    tokens: usize,
    pushes: Mutex<Pushes>,
}

/// Holds what has been pushed.
struct Pushes {
    /// Sets versions of this process apart from those of others.
    run: String,
    count: usize,
    /// Optimizer updates before the weights that the servers hold.
    held: Option<u64>,
    /// Folders of this process, oldest first.
    folders: Vec<PathBuf>,
    /// The folder of weights, which is locked for others that would clean it.
    in_use: Option<File>,
}

impl RunServers {
    /// Reaches the servers of a run, if it has any. `key`: their bearer token.
    ///
    /// # Errors
    /// If a server doesn't answer, or its context is too short.
    pub fn open(config: &RunConfig, setup: &Setup, key: Option<String>) -> Result<Option<Self>, TrainError> {
        let Some(server) = &config.rollout.server else { return Ok(None) };
        let seconds = Duration::from_secs_f64;
        let fleet = Fleet::open(Servers {
            engine: server.engine,
            urls: server.urls.clone(),
            router: server.router.clone(),
            key,
            adapter: server.adapter,
            vocabulary: load_config(&config.model)?.vocab_size,
            parallel: server.parallel,
            timeout: seconds(server.timeout_seconds),
            retry: seconds(server.retry_seconds),
        })?;
        fleet.fits(setup.limits.tokens)?;
        let temperature = config.rollout.sampling.temperature;
        let contexts = contexts(setup);
        let probe = Probe { contexts, tokens: PROBED, rule: Rule::of(temperature) };
        let pushes = Pushes { run: name(), count: 0, held: None, folders: Vec::new(), in_use: None };
        Ok(Some(Self {
            ranks: Arc::new(Alone),
            fleet,
            config: server.clone(),
            like: config.model.clone(),
            lora: config.optimizer.lora.clone(),
            probe,
            tokens: config.optimizer.micro_batch_tokens,
            pushes: Mutex::new(pushes),
        }))
    }

    /// Returns the same servers as those of several ranks: rank 0 puts weights into them, and all play there.
    pub(crate) fn among(mut self, ranks: Arc<dyn Ranks>) -> Self {
        self.ranks = ranks;
        self
    }

    /// Returns the ranks that play there.
    pub(crate) fn ranks(&self) -> &dyn Ranks {
        &*self.ranks
    }

    /// Returns the servers.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Makes every server hold the weights of a policy, and checks that they do. `updates`: the number of
    /// optimizer updates before them.
    ///
    /// The first push is preceded by one of other weights, so that a server that keeps some old ones is
    /// found before anything is learnt from it. All ranks call this, each on its main thread.
    ///
    /// # Errors
    /// If a server doesn't take the weights, or computes other log-probabilities with them.
    pub fn hold(&self, model: &Transformer, updates: u64) -> Result<(), TrainError> {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        if pushes.held == Some(updates) {
            return Ok(());
        }
        pushes.held = None;
        let pushed = said(&*self.ranks, || {
            if pushes.count == 0 {
                self.push(&self.waved(model), &mut pushes)?;
            }
            self.push(model, &mut pushes)?;
            Ok(self.fleet.pushed())
        })?;
        if !self.ranks.leads() {
            self.fleet.adopt(pushed);
        }
        pushes.held = Some(updates);
        Ok(())
    }

    /// Pushes a model under a new version and returns the gap of the probe, however large.
    ///
    /// # Errors
    /// If a server doesn't take it, or doesn't answer the probe.
    pub fn try_push(&self, model: &Transformer, probe: &Probe) -> Result<Gap, TrainError> {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        pushes.held = None;
        self.send(model, &mut pushes)?;
        self.gap(model, probe)
    }

    /// Returns a model whose pushed parameters all differ from those of `model`.
    pub(crate) fn waved(&self, model: &Transformer) -> Transformer {
        plain(model).waved(&|name| !self.config.adapter || name.contains(".lora."))
    }

    /// Compares log-probabilities of the servers with those of the model that they should hold.
    ///
    /// # Errors
    /// If a server doesn't answer the probe.
    pub fn gap(&self, model: &Transformer, probe: &Probe) -> Result<Gap, TrainError> {
        let model = plain(model);
        let expected = |context: &[TokenId], sampled: &[TokenId], temperature: f64| {
            self.logprobs(&model, context, sampled, temperature)
        };
        Ok(probe.run(&self.fleet, &expected)?)
    }

    /// Returns the probe that follows a push.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Returns the largest gap that a push may leave.
    pub fn limit(&self) -> f64 {
        self.config.probe_gap
    }

    /// Returns what is wrong with servers that leave a gap: nothing, if it is small enough.
    pub fn verdict(&self, gap: &Gap, tied: bool) -> Result<(), TrainError> {
        let limit = self.limit();
        // Written so that NaN fails.
        if gap.nats <= limit {
            return Ok(());
        }
        let unscaled = self.probe.rule.temperature != 1.0 && gap.unscaled <= limit;
        let hint = match () {
            () if unscaled => {
                "its log-probabilities ignore the temperature: start vLLM with --logprobs-mode processed_logprobs"
            }
            () if tied && !self.config.untied_head && !self.config.adapter => {
                "the server may keep its old output matrix, as vLLM does on the CPU with tied embeddings: set \
                 rollout.server.untied_head=true, and start it from a folder of `turnwise convert \
                 --untied-head`; or it computes in bf16, which needs a larger rollout.server.probe_gap"
            }
            () => {
                "the server kept old weights or prefixes, or it computes in another element type: start it with \
                 --dtype float32, or set a larger rollout.server.probe_gap; `turnwise doctor --server` says more"
            }
        };
        Err(TrainError::Input(format!(
            "{}: log-probabilities of the pushed weights differ by {:.4} nats from the trainer's, more than {limit}\n  \
             hint: {hint}",
            gap.url, gap.nats
        )))
    }

    fn push(&self, model: &Transformer, pushes: &mut Pushes) -> Result<(), TrainError> {
        self.send(model, pushes)?;
        self.verdict(&self.gap(model, &self.probe)?, model.config().tied_embeddings)
    }

    /// Writes a new folder, makes the servers load it, and removes old folders.
    fn send(&self, model: &Transformer, pushes: &mut Pushes) -> Result<(), TrainError> {
        let version = format!("{}-{}", pushes.run, pushes.count);
        pushes.count += 1;
        let folder = self.config.weights.join(&version);
        pushes.in_use = pushes.in_use.take().or_else(|| in_use(&self.config.weights));
        whole_folder::write(&folder, |folder| self.write(model, folder))?;
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        pushes.folders.push(folder.clone());
        self.fleet.push(Pushed { folder, version })?;
        while pushes.folders.len() > KEPT {
            whole_folder::remove(&pushes.folders.remove(0))?;
        }
        Ok(())
    }

    /// Removes folders of weights that processes left behind when they were killed, unless another process
    /// uses the folder.
    pub(crate) fn remove_left_behind(&self) {
        let weights = &self.config.weights;
        let Ok(folder) = File::open(weights) else { return };
        if folder.try_lock().is_ok() {
            for left in left_behind(weights) {
                // It costs space only.
                let _ = whole_folder::remove(&left);
            }
        }
    }

    fn write(&self, model: &Transformer, folder: &Path) -> Result<(), TrainError> {
        let lora = self.lora.as_ref().filter(|_| self.config.adapter);
        if let Some(lora) = lora {
            return Ok(save_adapter(model, lora, &self.like.to_string_lossy(), folder)?);
        }
        let model = plain(model);
        let merged = if self.config.untied_head { model.untied() } else { model };
        Ok(save(&merged, family_of(&self.like)?, Some(&self.like), folder)?)
    }

    /// Computes log-probabilities as the trainer does.
    fn logprobs(
        &self,
        model: &Transformer,
        context: &[TokenId],
        sampled: &[TokenId],
        temperature: f64,
    ) -> Vec<f32> {
        let turn = Turn { tokens: sampled.to_vec(), logprobs: vec![0.0; sampled.len()], ..Turn::default() };
        let (task, stop) = (String::new(), Stop::Answer);
        let asked = Trajectory { task, sample: 0, prompt: context.to_vec(), turns: vec![turn], stop };
        let split = Split {
            tokens: self.tokens,
            workers: workers::count(&model.device()),
            shards: None,
            recompute: None,
            balance: 0.0,
            rank: (0, 1),
        };
        let computed = sampled_logprobs(model, &[asked.sequences()], temperature, split, &Alone);
        computed.into_iter().flatten().flatten().collect()
    }
}

impl Drop for RunServers {
    /// Removes the folders of this process; servers have read them.
    fn drop(&mut self) {
        let pushes = self.pushes.get_mut().unwrap_or_else(PoisonError::into_inner);
        for folder in pushes.folders.drain(..) {
            // A folder that stays behind costs space only.
            let _ = whole_folder::remove(&folder);
        }
    }
}

/// Returns a model without gradients.
fn plain(model: &Transformer) -> Transformer {
    if model.device().is_autodiff() { model.valid() } else { model.clone() }
}

/// Returns the rule of a run's sampling.
pub(crate) fn rule(config: &SamplingConfig) -> Rule {
    let SamplingConfig { temperature, top_k, top_p, min_p } = *config;
    Rule { temperature, top_k, top_p, min_p }
}

/// Locks a folder, which is made if it isn't there, for as long as the value lives. Many processes may.
fn in_use(weights: &Path) -> Option<File> {
    std::fs::create_dir_all(weights).ok()?;
    let folder = File::open(weights).ok()?;
    // A file system without locks leaves folders of killed processes behind.
    folder.try_lock_shared().ok()?;
    Some(folder)
}

/// Returns the folders of versions in a folder of weights, whole or half written.
fn left_behind(weights: &Path) -> Vec<PathBuf> {
    let all = |text: &str, is: fn(&u8) -> bool| !text.is_empty() && text.as_bytes().iter().all(is);
    let is_version = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let half = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial"));
        let parts = half.unwrap_or(name).strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        let is_named = |(process, push): (&str, &str)| {
            process.len() == 16 && all(process, u8::is_ascii_hexdigit) && all(push, u8::is_ascii_digit)
        };
        path.is_dir() && parts.is_some_and(is_named)
    };
    let found = std::fs::read_dir(weights).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).filter(is_version).collect()
}

/// The beginning of the names of processes.
const PREFIX: &str = "turnwise-";

/// Returns a name that no other process has.
fn name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hasher = FnvHasher::default();
    hasher.write(&now.as_nanos().to_le_bytes());
    hasher.write(&std::process::id().to_le_bytes());
    format!("{PREFIX}{:016x}", hasher.finish())
}

/// Text that probes go on from: longer than two blocks of a prefix cache.
const TEXT: &str = "Each of 12 boxes holds 34 red and 5 blue pens, and 6 boxes were sold. How many pens are left? \
                    First compute the pens of one box, then those of all boxes that are left.\nAnswer:";

/// Returns the contexts of probes: tokens of a text, and the same backwards, where the model is less sure.
fn contexts(setup: &Setup) -> Vec<Vec<TokenId>> {
    let mut tokens = setup.chat.tokens(TEXT);
    tokens.truncate(CONTEXT.min(setup.limits.tokens.saturating_sub(PROBED).max(1)));
    let backwards = tokens.iter().rev().copied().collect();
    vec![tokens, backwards]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_killed_processes_left_are_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let version = format!("{}-12", name());
        let half = format!(".{}-0.partial", name());
        for name in [&version, &half, "mine", "turnwise-checkpoints_20-1", "turnwise-0123456789abcdef"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join(format!("{}-3", name())), "a file").unwrap();
        let mut found = left_behind(folder.path());
        found.sort();
        let mut expect = [folder.path().join(half), folder.path().join(version)];
        expect.sort();
        assert_eq!(found, expect);
        assert!(left_behind(&folder.path().join("nowhere")).is_empty());
        let used = in_use(folder.path()).expect("a folder that locks");
        assert!(File::open(folder.path()).unwrap().try_lock().is_err(), "nobody cleans it now");
        drop(used);
        assert!(File::open(folder.path()).unwrap().try_lock().is_ok());
    }
}
