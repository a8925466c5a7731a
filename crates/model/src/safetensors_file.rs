//! Reading and writing safetensors with every claim of the header checked before memory is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;

use crate::build::{ParameterSource, Start};
use crate::error::ModelError;
use crate::parameters::Named;

/// One file's bytes.
struct Shard {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// All weights of a folder: one file, or the shards that an index names.
pub(crate) struct WeightFiles {
    shards: Vec<Shard>,
    /// Tensor name → shard.
    holders: BTreeMap<String, usize>,
    used: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl WeightFiles {
    /// Opens `model.safetensors`, or the shards of `model.safetensors.index.json`.
    pub(crate) fn open(folder: &Path) -> Result<Self, ModelError> {
        let file = folder.join("model.safetensors.index.json");
        let files: Vec<PathBuf> = if file.is_file() {
            let text = read(&file)?;
            let index: Index = serde_json::from_slice(&text)
                .map_err(|e| weights(&file, format!("not an index of shards: {e}")))?;
            shards(&file, index)?.into_iter().map(|name| folder.join(name)).collect()
        } else {
            vec![folder.join("model.safetensors")]
        };
        Self::of(files)
    }

    /// Opens these files.
    pub(crate) fn of(files: Vec<PathBuf>) -> Result<Self, ModelError> {
        let mut all = Self { shards: Vec::new(), holders: BTreeMap::new(), used: BTreeSet::new() };
        for path in files {
            let bytes = read(&path)?;
            let tensors = parse(&path, &bytes)?;
            for name in tensors.names() {
                if all.holders.insert(name.to_string(), all.shards.len()).is_some() {
                    return Err(weights(&path, format!("tensor {name} is in another shard too")));
                }
            }
            all.shards.push(Shard { path, bytes });
        }
        Ok(all)
    }

    /// Fails if the files hold a tensor that nothing asked for.
    pub(crate) fn finish(self, ignored: &[&str]) -> Result<(), ModelError> {
        for (name, shard) in &self.holders {
            if !self.used.contains(name) && !ignored.iter().any(|suffix| name.ends_with(suffix)) {
                let path = &self.shards[*shard].path;
                return Err(weights(
                    path,
                    format!("tensor {name} has no place in the model that config.json describes"),
                ));
            }
        }
        Ok(())
    }
}

/// The shards of an index, each once.
fn shards(file: &Path, index: Index) -> Result<BTreeSet<String>, ModelError> {
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if names.is_empty() {
        return Err(weights(file, "names no shard".into()));
    }
    // A shard's name comes from a file: it may not lead out of the folder.
    match names.iter().find(|name| Path::new(name).file_name().is_none_or(|n| n != name.as_str())) {
        Some(name) => Err(weights(file, format!("shard \"{name}\" is not a plain file name"))),
        None => Ok(names),
    }
}

impl ParameterSource for WeightFiles {
    type Error = ModelError;

    fn values(&mut self, name: &str, shape: &[usize], _start: Start) -> Result<Vec<f32>, ModelError> {
        let Some(&holder) = self.holders.get(name) else {
            let path = &self.shards[0].path;
            return Err(weights(path, format!("tensor {name} of shape {shape:?} is missing")));
        };
        let shard = &self.shards[holder];
        let tensors = parse(&shard.path, &shard.bytes)?;
        let view = tensors.tensor(name).map_err(|e| weights(&shard.path, format!("{name}: {e}")))?;
        if view.shape() != shape {
            let message =
                format!("tensor {name} has shape {:?}, config.json asks for {shape:?}", view.shape());
            return Err(weights(&shard.path, message));
        }
        let values =
            to_f32(&view).map_err(|message| weights(&shard.path, format!("tensor {name}: {message}")))?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let message = format!("tensor {name} holds {} at index {at}", values[at]);
            return Err(weights(&shard.path, message));
        }
        self.used.insert(name.to_string());
        Ok(values)
    }
}

/// Writes parameters as f32. The file appears under its name only when it is complete.
pub(crate) fn write(path: &Path, parameters: &[Named]) -> Result<(), ModelError> {
    let bytes: Vec<Vec<u8>> =
        parameters.iter().map(|p| p.values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views: Vec<(&str, TensorView<'_>)> = parameters
        .iter()
        .zip(&bytes)
        .map(|(p, bytes)| {
            let view = TensorView::new(Dtype::F32, p.shape.clone(), bytes).expect("values fill the shape");
            (p.name.as_str(), view)
        })
        .collect();
    // `transformers` refuses files without this note.
    let note = [("format".to_string(), "pt".to_string())].into();
    let file = safetensors::serialize(views, Some(note)).map_err(|e| weights(path, e.to_string()))?;
    write_whole(path, &file)
}

/// Writes to a temporary name, flushes to disk, renames.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let aside = path.with_extension("partial");
    let write = || {
        let mut file = std::fs::File::create(&aside)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|source| ModelError::Write { path: path.into(), source })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Read { path: path.into(), source })
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, ModelError> {
    SafeTensors::deserialize(bytes).map_err(|e| {
        weights(
            path,
            format!(
                "not a whole safetensors file ({} bytes): {e}\n  hint: was it cut off while copying?",
                bytes.len()
            ),
        )
    })
}

fn weights(path: &Path, message: String) -> ModelError {
    ModelError::Weights { path: path.into(), message }
}

fn to_f32(view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::BF16 => data.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Dtype::F16 => data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        other => return Err(format!("element type {other:?} is not supported (only F32, BF16, F16)")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor as it lies on disk.
    type Stored<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

    fn store(path: &Path, tensors: &[Stored<'_>]) {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("bytes fill the shape"))
        });
        std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Two shards, with a tensor of every element type that is read.
    fn sharded() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let brain = [1.5_f32, -2.0].iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        let half = [0.25_f32, 65504.0].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let whole = ("whole", Dtype::F32, &[2, 1][..], floats(&[0.1, -0.2]));
        store(&folder.path().join("a.safetensors"), &[whole, ("brain", Dtype::BF16, &[2][..], brain)]);
        store(&folder.path().join("b.safetensors"), &[("half", Dtype::F16, &[1, 2][..], half)]);
        let (a, b) = ("a.safetensors", "b.safetensors");
        index(&folder, &[("whole", a), ("brain", a), ("half", b)]);
        folder
    }

    fn index(folder: &tempfile::TempDir, map: &[(&str, &str)]) {
        let map: BTreeMap<_, _> = map.iter().copied().collect();
        let text = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
        std::fs::write(folder.path().join("model.safetensors.index.json"), text).unwrap();
    }

    #[test]
    fn shards_are_read_in_every_element_type() {
        let folder = sharded();
        let mut files = WeightFiles::open(folder.path()).unwrap();
        let mut check = |name: &str, shape: &[usize], expect: [f32; 2]| {
            assert_eq!(files.values(name, shape, Start::Constant(0.0)).unwrap(), expect, "{name}");
        };
        check("whole", &[2, 1], [0.1, -0.2]);
        check("brain", &[2], [1.5, -2.0]);
        check("half", &[1, 2], [0.25, 65504.0]);
        files.finish(&[]).unwrap();
    }

    #[test]
    fn tensors_that_do_not_fit_are_named_with_their_shard() {
        let folder = sharded();
        let refused = |name: &str, shape: &[usize], message: &str| {
            let mut files = WeightFiles::open(folder.path()).unwrap();
            let error = files.values(name, shape, Start::Constant(0.0)).unwrap_err().to_string();
            assert!(error.ends_with(message), "{error}");
        };
        refused("other", &[3], "tensor other of shape [3] is missing");
        refused("half", &[2], "b.safetensors: tensor half has shape [1, 2], config.json asks for [2]");
        let surplus = WeightFiles::open(folder.path()).unwrap().finish(&["whole", "brain"]).unwrap_err();
        let message = "b.safetensors: tensor half has no place in the model that config.json describes";
        assert!(surplus.to_string().ends_with(message), "{surplus}");
        let integers = ("whole", Dtype::I64, &[1][..], vec![0; 8]);
        store(&folder.path().join("a.safetensors"), &[integers]);
        refused("whole", &[1], "element type I64 is not supported (only F32, BF16, F16)");
    }

    #[test]
    fn an_index_that_lies_is_refused() {
        let check = |map: &[(&str, &str)], message: &str| {
            let folder = sharded();
            index(&folder, map);
            std::fs::copy(folder.path().join("a.safetensors"), folder.path().join("c.safetensors")).unwrap();
            let error = WeightFiles::open(folder.path()).err().expect("a refusal").to_string();
            assert!(error.contains(message), "{error}");
        };
        check(&[], "model.safetensors.index.json: names no shard");
        for name in ["../a.safetensors", "/etc/passwd", "", "."] {
            check(&[("whole", name)], "is not a plain file name");
        }
        check(&[("whole", "d.safetensors")], "d.safetensors");
        check(&[("whole", "a.safetensors"), ("brain", "c.safetensors")], "is in another shard too");
    }
}
