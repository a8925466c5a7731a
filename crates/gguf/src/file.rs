//! Reads a file: its metadata, and the places of its tensors.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::GgufError;
use crate::header::Head;
use crate::kind::Kind;
use crate::metadata::{Metadata, Value};
use crate::quant::dequantize;

/// Describes a tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its shape, slowest dimension first as in safetensors; the file counts the other way round.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub kind: Kind,
    /// Offset of its bytes in the file.
    start: u64,
    /// Number of its bytes.
    bytes: u64,
}

/// Holds an open file whose head has been read and checked.
pub struct GgufFile {
    path: PathBuf,
    file: File,
    /// The key/value part.
    pub metadata: Metadata,
    /// The tensors, in the order of the file.
    pub tensors: Vec<TensorInfo>,
}

/// Bytes of a file that may be holes before it counts as unfinished. Some systems leave out blocks of zeros.
const HOLES: u64 = 64 << 20;

/// Numbers that are dequantised at once.
const AT_ONCE: usize = 1 << 20;

impl GgufFile {
    /// Opens a regular file. Every tensor lies within it, and no two overlap.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let unreadable = |source| GgufError::Read { path: path.into(), source };
        let broken = |message| GgufError::Content { path: path.into(), message };
        let file = turnwise_files::open(path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        let (size, stored) = (found.len(), found.blocks() * 512);
        // A system that doesn't count blocks says 0.
        if stored > 0 && size - stored.min(size) > size / 2 + HOLES {
            return Err(broken(format!(
                "{stored} of its {size} bytes are on disk\n  hint: was it downloaded to its end?"
            )));
        }
        let mut head = Head::new(file.try_clone().map_err(unreadable)?, size);
        let (metadata, tensors) = read(&mut head, size).map_err(broken)?;
        Ok(Self { path: path.into(), file, metadata, tensors })
    }

    /// Returns the numbers of a tensor. Fails if one is not finite.
    pub fn values(&self, tensor: &TensorInfo) -> Result<Vec<f32>, GgufError> {
        let mut all = Vec::new();
        all.try_reserve_exact(tensor.count()).map_err(|_| {
            self.broken(format!(
                "tensor {}: its {} numbers don't fit into memory",
                tensor.name,
                tensor.count()
            ))
        })?;
        self.each_part(tensor, 0..tensor.rows(), |part| {
            all.extend_from_slice(part);
            Ok(())
        })?;
        Ok(all)
    }

    /// Passes the numbers of some rows of a tensor to `take`, several whole rows at a time. Fails if one is
    /// not finite.
    pub(crate) fn each_part(
        &self,
        tensor: &TensorInfo,
        rows: Range<usize>,
        mut take: impl FnMut(&[f32]) -> Result<(), GgufError>,
    ) -> Result<(), GgufError> {
        let width = tensor.width();
        let row_bytes = width / tensor.kind.block() * tensor.kind.bytes();
        let step = (AT_ONCE / width).max(1);
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for first in rows.clone().step_by(step) {
            let count = step.min(rows.end - first);
            bytes.resize(count * row_bytes, 0);
            self.file
                .read_exact_at(&mut bytes, tensor.start + (first * row_bytes) as u64)
                .map_err(|source| GgufError::Read { path: self.path.clone(), source })?;
            values.clear();
            dequantize(tensor.kind, &bytes, &mut values);
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let (value, at) = (values[at], first * width + at);
                return Err(self.broken(format!("tensor {} holds {value} at index {at}", tensor.name)));
            }
            take(&values)?;
        }
        Ok(())
    }

    /// Returns an error about the content of this file.
    pub(crate) fn broken(&self, message: String) -> GgufError {
        GgufError::Content { path: self.path.clone(), message }
    }
}

impl TensorInfo {
    /// Returns the count of the tensor's numbers.
    pub(crate) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the length of a row, the dimension that is stored without gaps.
    pub(crate) fn width(&self) -> usize {
        *self.shape.last().expect("a tensor has a dimension")
    }

    /// Returns the number of rows; one if there is only one dimension.
    pub(crate) fn rows(&self) -> usize {
        self.count() / self.width()
    }
}

fn read(head: &mut Head, size: u64) -> Result<(Metadata, Vec<TensorInfo>), String> {
    if size < 4 || head.bytes()? != *b"GGUF" {
        return Err("not a GGUF file: it doesn't begin with \"GGUF\"".into());
    }
    let version = head.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("version {version} of GGUF is not supported (only 2 and 3, little-endian)"));
    }
    let (tensors, entries) = (head.entries("tensors")?, head.entries("keys")?);
    let metadata = head.metadata(entries)?;
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(Value::Int(n)) if (1..=1 << 16).contains(n) && (*n as u64).is_power_of_two() => *n as u64,
        Some(other) => {
            return Err(format!("general.alignment = {other} is not a power of two up to 65536"));
        }
    };
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for _ in 0..tensors {
        let tensor = tensor(head)?;
        if !names.insert(tensor.name.clone()) {
            return Err(format!("tensor {} is there twice", tensor.name));
        }
        found.push(tensor);
    }
    place(&mut found, head.at().next_multiple_of(alignment), alignment, size)?;
    Ok((metadata, found))
}

/// Reads a tensor's entry. Its start is relative to the beginning of the data.
fn tensor(head: &mut Head) -> Result<TensorInfo, String> {
    let name = head.text()?;
    let dimensions = head.u32()?;
    if !(1..=4).contains(&dimensions) {
        return Err(format!("tensor {name} has {dimensions} dimensions, not 1 to 4"));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        shape.push(head.u64()?);
    }
    let id = head.u32()?;
    let kind = Kind::from_id(id).ok_or_else(|| {
        format!(
            "tensor {name} is of type {id}, which is not supported\n  hint: supported are {}",
            Kind::ALL.map(|kind| format!("{kind:?}")).join(", ")
        )
    })?;
    let start = head.u64()?;
    let claimed = || format!("tensor {name} claims the shape {shape:?}");
    let count = shape.iter().try_fold(1_u64, |count, &n| count.checked_mul(n)).ok_or_else(claimed)?;
    if count == 0 || !shape[0].is_multiple_of(kind.block() as u64) {
        return Err(format!("{}, which is no whole number of {kind:?} blocks", claimed()));
    }
    let bytes = (count / kind.block() as u64).checked_mul(kind.bytes() as u64).ok_or_else(claimed)?;
    let shape = shape.iter().rev().map(|&n| n as usize).collect();
    Ok(TensorInfo { name, shape, kind, start, bytes })
}

/// Checks that all tensors lie in the file, one after the other.
fn place(tensors: &mut [TensorInfo], data: u64, alignment: u64, size: u64) -> Result<(), String> {
    for tensor in tensors.iter_mut() {
        if !tensor.start.is_multiple_of(alignment) {
            return Err(format!(
                "tensor {} begins at {}, not at a multiple of {alignment}",
                tensor.name, tensor.start
            ));
        }
        let start = data.checked_add(tensor.start);
        let end = start.and_then(|start| start.checked_add(tensor.bytes));
        if end.is_none_or(|end| end > size) {
            return Err(format!(
                "tensor {} of {} bytes ends behind the file of {size} bytes\n  hint: was it cut off while it was copied?",
                tensor.name, tensor.bytes
            ));
        }
        tensor.start += data;
    }
    let mut by_start: Vec<&TensorInfo> = tensors.iter().collect();
    by_start.sort_by_key(|tensor| tensor.start);
    for pair in by_start.windows(2) {
        if pair[0].start + pair[0].bytes > pair[1].start {
            return Err(format!("tensors {} and {} overlap", pair[0].name, pair[1].name));
        }
    }
    Ok(())
}
