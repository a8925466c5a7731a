//! Writes TensorBoard's event files: length-prefixed records with masked CRC-32C (TFRecord), each an `Event`
//! in Protocol Buffers' encoding. Only the fields of scalars are written.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use turnwise_run::{RunDirError, StepMetrics};

use super::series::numbers;

/// TensorBoard recognises event files by the middle of their name.
const NAME: &str = "events.out.tfevents.0.turnwise";
const VERSION: &str = "brain.Event:2";

/// Writes an event file from its beginning.
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Starts the file of a folder over.
    pub(super) fn create(folder: &Path) -> Result<Self, RunDirError> {
        let path = folder.join(NAME);
        let failed = |source| RunDirError::Write { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut file = turnwise_files::own::create(&path).map_err(failed)?;
        file.write_all(&framed(&version_event(now()))).map_err(failed)?;
        Ok(Self { path, file })
    }

    /// Adds the numbers of a step.
    pub(super) fn add(&mut self, metrics: &StepMetrics) -> Result<(), RunDirError> {
        let tagged: Vec<(String, f64)> = numbers(metrics)
            .into_iter()
            .map(|number| {
                let turn = number.turn.map(|turn| format!("/turn_{turn}")).unwrap_or_default();
                (number.keys.join("/") + &turn, number.value)
            })
            .collect();
        let event = framed(&scalar_event(now(), metrics.step as i64, &tagged));
        self.file.write_all(&event).map_err(|source| RunDirError::Write { path: self.path.clone(), source })
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// `Event { wall_time = 1, file_version = 3 }`
fn version_event(time: f64) -> Vec<u8> {
    let mut event = double(1, time);
    event.extend(bytes(3, VERSION.as_bytes()));
    event
}

/// `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`
fn scalar_event(time: f64, step: i64, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut scalar = bytes(1, tag.as_bytes());
        scalar.push(2 << 3 | 5);
        scalar.extend((*value as f32).to_le_bytes());
        summary.extend(bytes(1, &scalar));
    }
    let mut event = double(1, time);
    // A field that has its default value, 0, is not written.
    if step != 0 {
        event.push(2 << 3);
        event.extend(varint(step as u64));
    }
    event.extend(bytes(5, &summary));
    event
}

fn double(field: u8, value: f64) -> Vec<u8> {
    let mut encoded = vec![field << 3 | 1];
    encoded.extend(value.to_le_bytes());
    encoded
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![field << 3 | 2];
    encoded.extend(varint(value.len() as u64));
    encoded.extend(value);
    encoded
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    while value >= 0x80 {
        encoded.push(value as u8 | 0x80);
        value >>= 7;
    }
    encoded.push(value as u8);
    encoded
}

/// Frames data as a TFRecord: length, its CRC, the data, its CRC.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), bit by bit: a few kilobytes per step.
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use turnwise_run::manifest::hex;

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        // Appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// The `tensorboard` package 2.20.0 wrote these bytes for the same events:
    /// tests/golden/tensorboard/make.py.
    #[test]
    fn records_are_those_of_tensorboard() {
        let scalars = [("accuracy".to_string(), 0.5), ("by_turn/credit/reward/turn_1".to_string(), -0.25)];
        for (event, golden) in [
            (version_event(1.5), include_str!("../../../../../tests/golden/tensorboard/version.hex")),
            (
                scalar_event(2.5, 0, &scalars[..1]),
                include_str!("../../../../../tests/golden/tensorboard/first.hex"),
            ),
            (
                scalar_event(2.5, 300, &scalars),
                include_str!("../../../../../tests/golden/tensorboard/later.hex"),
            ),
        ] {
            assert_eq!(hex(&framed(&event)), golden.trim());
        }
    }
}
