//! The weights of a folder: finds the file of each parameter and its tensor there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::available::available_memory;
use crate::build::{Init, ParameterSource};
use crate::error::ModelError;
use crate::io::expert_stacks::{Stacked, matrices};
use crate::io::regular_file::{SETTINGS, read};
use crate::io::shard::{Shard, damaged};
use crate::io::text_tensors::{headless_name, other_part, own_name};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const EMBEDDING: &str = "model.embed_tokens.weight";
/// The output matrix.
pub(crate) const OUTPUT: &str = "lm_head.weight";

/// Holds all weights of a folder: one file, or the shards of an index.
pub(crate) struct WeightFiles {
    shards: Vec<Shard>,
    /// Shard of each tensor.
    holders: BTreeMap<String, usize>,
    /// Tensors that hold a parameter under another name.
    aliases: BTreeMap<String, String>,
    /// Matrices of experts in stacks.
    stacked: BTreeMap<String, Stacked>,
    used: BTreeSet<String>,
    /// Tensors that are no part of the text model.
    others: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl WeightFiles {
    /// Opens the file that `transformers` takes.
    ///
    /// That is the file that `config.json` names, else `model.safetensors`, else the shards of
    /// `model.safetensors.index.json`.
    pub(crate) fn open(folder: &Path, named: Option<&str>) -> Result<Self, ModelError> {
        let adapter = folder.join("adapter_config.json");
        let has = |name: &str| folder.join(name).is_file();
        if adapter.is_file() {
            let message = if has(SINGLE) || has(INDEX) {
                "an adapter beside a model: with `peft`, `transformers` loads the adapter on its own base\n  \
                 hint: move one of them to another folder"
            } else {
                "the folder holds an adapter, not a model\n  hint: merge it into its base, or name the base"
            };
            return Err(damaged(&adapter, message.into()));
        }
        let name = match named {
            Some(name) if is_plain(name) => name,
            Some(name) => {
                let message = format!("transformers_weights = {name:?} is not a plain file name");
                return Err(damaged(&folder.join("config.json"), message));
            }
            None if !has(SINGLE) && has(INDEX) => INDEX,
            None => SINGLE,
        };
        let path = folder.join(name);
        if !path.exists() {
            let others = ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5"];
            if let Some(other) = others.into_iter().find(|other| has(other)) {
                let message = "weights of this kind are not read\n  hint: save them as safetensors";
                return Err(damaged(&folder.join(other), message.into()));
            }
        }
        if !name.ends_with(".index.json") {
            return Self::of(vec![path]);
        }
        let index: Index = serde_json::from_slice(&read(&path, SETTINGS)?)
            .map_err(|e| damaged(&path, format!("not an index of shards: {e}")))?;
        Self::of(shards(&path, index)?.into_iter().map(|name| folder.join(name)).collect())
    }

    /// Opens these files.
    pub(crate) fn of(files: Vec<PathBuf>) -> Result<Self, ModelError> {
        let mut all = Self {
            shards: Vec::new(),
            holders: BTreeMap::new(),
            aliases: BTreeMap::new(),
            stacked: BTreeMap::new(),
            used: BTreeSet::new(),
            others: BTreeSet::new(),
        };
        for path in files {
            let shard = Shard::open(path)?;
            for name in shard.header.names() {
                if all.holders.contains_key(&name) {
                    return Err(damaged(&shard.path, format!("tensor {name} is in another shard too")));
                }
                all.stacked.extend(matrices(&name, &shard.tensor(&name).0.shape));
                all.holders.insert(name, all.shards.len());
            }
            all.shards.push(shard);
        }
        Ok(all)
    }

    /// Gives the text model's tensors the names that they have without images or sound, and takes all others
    /// out.
    pub(crate) fn take_text_model(&mut self) {
        let names: Vec<&String> = self.holders.keys().collect();
        let bare = !names.iter().any(|name| name.starts_with("model."));
        let own = |name| own_name(name).or_else(|| headless_name(name).filter(|_| bare));
        let named = names.iter().filter_map(|name| Some((own(name)?, (*name).clone())));
        self.aliases.extend(named);
        let others = names.into_iter().filter(|name| other_part(name).is_some());
        self.others.extend(others.cloned());
    }

    /// Names the parts that were taken out, with the number of their tensors.
    pub(crate) fn left_out(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for part in self.others.iter().filter_map(|name| other_part(name)) {
            *counts.entry(part).or_default() += 1;
        }
        counts.into_iter().map(|(part, count)| format!("{part} ({count} tensors)")).collect()
    }

    /// Checks that the weights fit into memory: all together if the model is in host memory, else one at a
    /// time.
    pub(crate) fn check_memory(&self, together: bool) -> Result<(), ModelError> {
        let counts = self.shards.iter().flat_map(|shard| {
            // Other parts of the folder take no memory.
            shard.header.counts_of(|name| !self.others.contains(name))
        });
        let numbers = if together { counts.fold(0, u64::saturating_add) } else { counts.max().unwrap_or(0) };
        let needed = numbers.saturating_mul(size_of::<f32>() as u64);
        match available_memory() {
            Some(left) if needed > left => {
                let gib = |bytes: u64| bytes as f64 / (1_u64 << 30) as f64;
                Err(damaged(
                    &self.shards[0].path,
                    format!(
                        "weights of {:.1} GiB in f32, {:.1} GiB of memory are left",
                        gib(needed),
                        gib(left)
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Reads the embedding from the output matrix if the files hold only the latter.
    ///
    /// Versions of `transformers` differ in the one they take if both are there, so both must be equal.
    pub(crate) fn tie(&mut self) -> Result<(), ModelError> {
        let stored = |name: &str| self.aliases.get(name).cloned().unwrap_or_else(|| name.to_string());
        let (embedding, output) = (stored(EMBEDDING), stored(OUTPUT));
        let holder = |name: &str| self.holders.get(name).map(|&at| &self.shards[at]);
        match (holder(&embedding), holder(&output)) {
            (None, Some(_)) => drop(self.aliases.insert(EMBEDDING.into(), output)),
            (Some(first), Some(second)) if !first.holds_same(&embedding, second, &output)? => {
                let message = format!(
                    "tensors {EMBEDDING} and {OUTPUT} differ, and config.json ties them\n  \
                     hint: set tie_word_embeddings = false, or take {OUTPUT} out of the file"
                );
                return Err(damaged(&second.path, message));
            }
            _ => {}
        }
        Ok(())
    }

    /// Fails if the files hold a tensor that no parameter asked for.
    pub(crate) fn finish(self, ignored: &[&str]) -> Result<(), ModelError> {
        for (name, shard) in &self.holders {
            let known = self.used.contains(name) || self.others.contains(name);
            if !known && !ignored.iter().any(|suffix| name.ends_with(suffix)) {
                let path = &self.shards[*shard].path;
                return Err(damaged(
                    path,
                    format!("tensor {name} has no place in the model that config.json describes"),
                ));
            }
        }
        Ok(())
    }

    /// Explains under which name the files hold a missing tensor: with another prefix, or all names with
    /// another one.
    fn other_name(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix("model.").unwrap_or(name);
        let prefix = |other: &str| {
            let prefix = other.strip_suffix(rest)?;
            (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_string())
        };
        if let Some((other, prefix)) = self.holders.keys().find_map(|key| Some((key, prefix(key)?))) {
            let ours = &name[..name.len() - rest.len()];
            return Some(format!("the file calls it {other}: the prefix is \"{prefix}\", not \"{ours}\""));
        }
        let common = self.common_prefix()?;
        (name.starts_with("model.") && !common.starts_with("model."))
            .then(|| format!("names in the file begin with \"{common}\", not with \"model.\""))
    }

    /// Returns the beginning that all names share.
    fn common_prefix(&self) -> Option<&str> {
        let (first, last) = (self.holders.keys().next()?, self.holders.keys().next_back()?);
        let ends = first.match_indices('.').map(|(at, _)| &first[..=at]);
        ends.take_while(|prefix| last.starts_with(prefix)).last()
    }
}

/// Returns whether a name stays inside its folder.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|plain| plain == name)
}

/// Returns the shards of an index, each once.
fn shards(file: &Path, index: Index) -> Result<BTreeSet<String>, ModelError> {
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(damaged(file, "names no shard".into()));
    }
    match names.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(damaged(file, format!("shard \"{name}\" is not a plain file name"))),
        None => Ok(names),
    }
}

impl ParameterSource for WeightFiles {
    type Error = ModelError;

    fn values(&mut self, name: &str, shape: &[usize], _init: Init) -> Result<Vec<f32>, ModelError> {
        let name = self.aliases.get(name).cloned().unwrap_or_else(|| name.to_string());
        if let Some(Stacked { stack, numbers, .. }) = self.stacked.get(&name).filter(|at| at.shape == *shape)
        {
            let values = self.shards[self.holders[stack]].part(stack, numbers.clone())?;
            self.used.insert(stack.clone());
            return Ok(values);
        }
        let Some(&holder) = self.holders.get(&name) else {
            let tied = "set tie_word_embeddings = true, if the output matrix is the embedding";
            let hint = self.other_name(&name).or_else(|| (name == OUTPUT).then(|| tied.to_string()));
            let hint = hint.map_or(String::new(), |hint| format!("\n  hint: {hint}"));
            let message = format!("tensor {name} of shape {shape:?} is missing{hint}");
            return Err(damaged(&self.shards[0].path, message));
        };
        let shard = &self.shards[holder];
        let (info, _) = shard.tensor(&name);
        if info.shape != shape {
            let message = format!("tensor {name} has shape {:?}, config.json asks for {shape:?}", info.shape);
            return Err(damaged(&shard.path, message));
        }
        let values = shard.values(&name)?;
        self.used.insert(name);
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
