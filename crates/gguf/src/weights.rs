//! Writes safetensors, one tensor after the other: only one is in memory at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::{Map, Value as Json, json};

use crate::architecture::Shape;
use crate::error::GgufError;
use crate::file::{GgufFile, TensorInfo};
use crate::tensors::{holds_decays, in_folder, placed};

/// Names the element type of stored weights.
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
    let (rows, columns) = shape.orders(&tensor.name);
    if let [count] = tensor.shape[..] {
        let values = file.values(tensor)?;
        let source = |at: usize| rows.map_or(at, |order| order.source(at));
        let offset = shape.offset(&tensor.name);
        let moved = (0..count).map(|at| values[source(at)] - offset);
        let moved: Vec<f32> = if holds_decays(&tensor.name) {
            moved.map(|decay| (-decay).ln()).collect()
        } else {
            moved.collect()
        };
        if let Some(at) = moved.iter().position(|value| !value.is_finite()) {
            return Err(file.broken(format!(
                "tensor {} holds {}, which is no decay",
                tensor.name,
                values[source(at)]
            )));
        }
        return take(&moved);
    }
    match (rows, columns) {
        (None, None) => file.each_part(tensor, 0..tensor.rows(), take),
        (Some(order), _) => (0..tensor.rows()).try_for_each(|row| {
            let row = order.source(row);
            file.each_part(tensor, row..row + 1, &mut *take)
        }),
        (None, Some(order)) => file.each_part(tensor, 0..tensor.rows(), |part| {
            let width = tensor.width();
            let places = (0..part.len()).map(|at| at - at % width + order.source(at % width));
            take(&places.map(|at| part[at]).collect::<Vec<f32>>())
        }),
    }
}
