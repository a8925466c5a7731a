//! One open safetensors file. Its tensors are read one at a time, in pieces.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use crate::error::ModelError;
use crate::io::regular_file::open;
use crate::io::safetensors_header::Header;

/// Bytes that are read at once: whole numbers of every type.
const CHUNK: usize = 1 << 20;

/// Holds a file whose header was checked.
pub(crate) struct Shard {
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    file: File,
}

impl Shard {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: PathBuf) -> Result<Self, ModelError> {
        let (file, size) = open(&path)?;
        let header = Header::read(&file, size).map_err(|e| {
            let hint = "\n  hint: was it cut off while copying?";
            damaged(&path, format!("not a whole safetensors file ({size} bytes): {e}{hint}"))
        })?;
        Ok(Self { path, header, file })
    }

    /// Returns type, shape and file offset of a tensor.
    ///
    /// # Panics
    /// If the file has no tensor of this name.
    pub(crate) fn tensor(&self, name: &str) -> (&TensorInfo, u64) {
        self.header.tensor(name).expect("a shard is asked for tensors of its own header")
    }

    /// Reads a tensor as f32.
    pub(crate) fn values(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.part(name, 0..self.tensor(name).0.shape.iter().product())
    }

    /// Reads a range of elements as f32.
    pub(crate) fn part(&self, name: &str, numbers: Range<usize>) -> Result<Vec<f32>, ModelError> {
        let (info, start) = self.tensor(name);
        let bad = |message: String| damaged(&self.path, format!("tensor {name}: {message}"));
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::BF16 | Dtype::F16 => 2,
            other => {
                let types = "only F32, BF16, F16; quantized weights have to be dequantized first";
                return Err(bad(format!("element type {other:?} is not supported ({types})")));
            }
        };
        let (start, count) = (start + (numbers.start * width) as u64, numbers.len());
        let mut values: Vec<f32> = Vec::new();
        values
            .try_reserve_exact(count)
            .map_err(|_| bad(format!("its {count} numbers don't fit into memory")))?;
        let mut buffer = vec![0; CHUNK.min(count * width)];
        for at in (0..count * width).step_by(CHUNK) {
            let part = &mut buffer[..CHUNK.min(count * width - at)];
            self.read(part, start + at as u64)?;
            match info.dtype {
                Dtype::F32 => {
                    values.extend(part.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
                }
                Dtype::BF16 => {
                    values.extend(part.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()));
                }
                _ => values.extend(part.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())),
            }
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => {
                let message = format!("tensor {name} holds {} at index {}", values[at], numbers.start + at);
                Err(damaged(&self.path, message))
            }
            None => Ok(values),
        }
    }

    /// Returns whether a tensor of this file and one of another have the same bytes.
    pub(crate) fn holds_same(&self, name: &str, other: &Self, other_name: &str) -> Result<bool, ModelError> {
        let ((a, a_start), (b, b_start)) = (self.tensor(name), other.tensor(other_name));
        if a.shape != b.shape || a.dtype != b.dtype {
            return Ok(false);
        }
        let size = a.data_offsets.1 - a.data_offsets.0;
        let (mut mine, mut theirs) = (Vec::new(), Vec::new());
        for at in (0..size).step_by(CHUNK) {
            mine.resize(CHUNK.min(size - at), 0);
            theirs.resize(mine.len(), 0);
            self.read(&mut mine, a_start + at as u64)?;
            other.read(&mut theirs, b_start + at as u64)?;
            if mine != theirs {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), ModelError> {
        self.file
            .read_exact_at(bytes, at)
            .map_err(|source| ModelError::Read { path: self.path.clone(), source })
    }
}

/// Makes an error about the weights of a file.
pub(crate) fn damaged(path: &Path, message: String) -> ModelError {
    ModelError::Weights { path: path.into(), message }
}
