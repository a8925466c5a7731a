//! Writes safetensors, one tensor after the other: only one is in memory at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::{Map, Value as Json, json};

use crate::architecture::Shape;
use crate::error::GgufError;
use crate::file::{GgufFile, TensorInfo};
use crate::tensors::{in_folder, placed, source_row};

/// Element type of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// 32-bit floats: exactly what the file says.
    F32,
    /// 16-bit IEEE floats, rounded to the nearest.
    F16,
    /// 16-bit brain floats, rounded to the nearest.
    Bf16,
}

impl Stored {
    /// Returns the name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Stored::F32 => "float32",
            Stored::F16 => "float16",
            Stored::Bf16 => "bfloat16",
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Stored::F32 => "F32",
            Stored::F16 => "F16",
            Stored::Bf16 => "BF16",
        }
    }

    fn bytes(self) -> usize {
        if self == Stored::F32 { 4 } else { 2 }
    }

    fn write(self, values: &[f32], out: &mut impl Write) -> std::io::Result<()> {
        for &value in values {
            match self {
                Stored::F32 => out.write_all(&value.to_le_bytes())?,
                Stored::F16 => out.write_all(&f16::from_f32(value).to_le_bytes())?,
                Stored::Bf16 => out.write_all(&bf16::from_f32(value).to_le_bytes())?,
            }
        }
        Ok(())
    }
}

/// Writes `model.safetensors`. Returns the number of weights.
pub(crate) fn write(file: &GgufFile, shape: &Shape, stored: Stored, path: &Path) -> Result<usize, GgufError> {
    let failed = |source| GgufError::Write { path: path.into(), source };
    let kept = placed(&file.tensors, shape).map_err(|message| file.broken(message))?;
    let mut head = Map::new();
    head.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut end = 0;
    for (name, shape) in kept.iter().flat_map(|(tensor, name)| in_folder(tensor, name)) {
        let start = end;
        end += shape.iter().product::<usize>() * stored.bytes();
        head.insert(name, json!({"dtype": stored.tag(), "shape": shape, "data_offsets": [start, end]}));
    }
    let mut head = Json::Object(head).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    out.write_all(&(head.len() as u64).to_le_bytes()).map_err(failed)?;
    out.write_all(&head).map_err(failed)?;
    for (tensor, _) in &kept {
        write_tensor(file, tensor, shape, &mut |values| {
            if let (Stored::F16, Some(large)) = (stored, values.iter().find(|value| value.abs() > 65504.0)) {
                return Err(file.broken(format!(
                    "tensor {} holds {large}, too large for f16\n  hint: --dtype bf16",
                    tensor.name
                )));
            }
            stored.write(values, &mut out).map_err(failed)
        })?;
    }
    out.flush().map_err(failed)?;
    Ok(kept.iter().map(|(tensor, _)| tensor.count()).sum())
}

/// Hands over a tensor's numbers in Hugging Face's order.
fn write_tensor(
    file: &GgufFile,
    tensor: &TensorInfo,
    shape: &Shape,
    take: &mut impl FnMut(&[f32]) -> Result<(), GgufError>,
) -> Result<(), GgufError> {
    let rows = tensor.rows();
    let offset = shape.offset(&tensor.name);
    if offset != 0.0 {
        let less: Vec<f32> = file.values(tensor)?.iter().map(|value| value - offset).collect();
        return take(&less);
    }
    match shape.interleaved(&tensor.name) {
        None => file.each_part(tensor, 0..rows, take),
        // A bias has a number per row.
        Some(dim) if tensor.shape.len() == 1 => {
            let values = file.values(tensor)?;
            let turned: Vec<f32> = (0..values.len()).map(|row| values[source_row(row, dim)]).collect();
            take(&turned)
        }
        Some(dim) => (0..rows).try_for_each(|row| {
            let row = source_row(row, dim);
            file.each_part(tensor, row..row + 1, &mut *take)
        }),
    }
}
