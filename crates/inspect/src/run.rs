//! Opens a run directory for reading.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use serde::de::DeserializeOwned;
use turnwise_files::{SETTINGS, TEXT, read_to_string};
use turnwise_json::words;
use turnwise_run::{Evaluations, RecordError, RunEnvironment, StepMetrics};

use crate::error::InspectError;
use crate::index::Index;
use crate::pieces::Pieces;

/// Reads one run on disk. The run may still be going on: [`Run::refresh`] reads its new rollouts.
pub struct Run {
    folder: PathBuf,
    /// The folder of its rollouts, or one file of them.
    rollouts: PathBuf,
    name: String,
    config: toml::Table,
    pieces: Pieces,
    index: RwLock<Arc<Index>>,
}

impl Run {
    /// Opens a file of conversations that `turnwise rollout` wrote: rollouts, without the other parts of a
    /// run.
    pub fn of_conversations(file: &Path) -> Self {
        Self {
            folder: file.into(),
            rollouts: file.into(),
            name: file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
            config: toml::Table::new(),
            pieces: Pieces::of_run(file, None),
            index: RwLock::default(),
        }
    }

    /// Opens a run without its rollouts, which [`Run::refresh`] reads.
    pub fn open(folder: &Path) -> Result<Self, InspectError> {
        let path = folder.join("config.toml");
        if !path.is_file() {
            return Err(InspectError::NoRun { path: folder.into() });
        }
        let text = read_to_string(&path, SETTINGS).map_err(InspectError::read(&path))?;
        let config: toml::Table = toml::from_str(&text).map_err(|error| RecordError::Broken {
            line: error.span().map_or(1, |span| text[..span.start].lines().count().max(1)),
            message: error.message().to_string(),
            path: path.clone(),
        })?;
        let full = folder.canonicalize().unwrap_or_else(|_| folder.into());
        let name = full.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        let pieces = Pieces::of_run(folder, config.get("model").and_then(toml::Value::as_str));
        let rollouts = folder.join("rollouts");
        Ok(Self { folder: folder.into(), rollouts, name, config, pieces, index: RwLock::default() })
    }

    /// Reads rollouts that are new since the last call. `progress` gets the bytes read and the total.
    pub fn refresh(&self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Arc<Index>, InspectError> {
        let index = Arc::new(Index::build(&self.rollouts, &self.index(), progress)?);
        *self.index.write().expect("no thread panicked") = index.clone();
        Ok(index)
    }

    /// Returns the rollouts as of the last [`Run::refresh`].
    pub fn index(&self) -> Arc<Index> {
        self.index.read().expect("no thread panicked").clone()
    }

    /// Returns the folder's path.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the last part of the folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the decoder of its tokens.
    pub fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// Returns the resolved config, each key with its full path and its value as TOML.
    pub fn config(&self) -> BTreeMap<String, String> {
        let mut flat = BTreeMap::new();
        flatten("", &toml::Value::Table(self.config.clone()), &mut flat);
        flat
    }

    /// Reads `metrics.jsonl`, without a torn last line of a killed run.
    pub fn metrics(&self) -> Result<Vec<StepMetrics>, InspectError> {
        if self.rollouts.is_file() {
            return Ok(Vec::new());
        }
        let path = self.folder.join("metrics.jsonl");
        let text = match read_to_string(&path, TEXT) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(InspectError::read(&path)(source)),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let parse = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| {
                RecordError::Broken { path: path.clone(), line: number + 1, message: words(&error) }.into()
            })
        };
        whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
    }

    /// Reads the held-out evaluations before and after the run. None while it goes on; those of an earlier
    /// end don't count once the run has gone beyond it.
    pub fn evaluation(&self) -> Result<Option<Evaluations>, InspectError> {
        let found: Option<Evaluations> = self.json(Evaluations::FILE)?;
        let Some(steps) = found.as_ref().and_then(|found| found.steps) else { return Ok(found) };
        Ok(found.filter(|_| self.metrics().is_ok_and(|lines| lines.len() <= steps)))
    }

    /// Reads the environment of the run, if it is recorded.
    pub fn environment(&self) -> Result<Option<RunEnvironment>, InspectError> {
        self.json("env.json")
    }

    /// Reads a JSON file of the run, if it exists.
    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, InspectError> {
        if self.rollouts.is_file() {
            return Ok(None);
        }
        let path = self.folder.join(name);
        let text = match read_to_string(&path, TEXT) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(InspectError::read(&path)(source)),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| RecordError::Broken { line: error.line(), message: words(&error), path }.into())
    }
}

fn flatten(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, into);
            }
        }
        other => {
            into.insert(prefix.to_string(), other.to_string());
        }
    }
}
