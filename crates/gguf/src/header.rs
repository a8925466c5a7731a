//! Reads the head of a file. Nothing is allocated that the rest of the file couldn't fill.

use std::fs::File;
use std::io::{BufReader, Read};

use crate::metadata::{Metadata, Value};

/// Reads a file from its start, and knows how much of it is left.
pub(crate) struct Head {
    reader: BufReader<File>,
    size: u64,
    at: u64,
    /// Entries of lists so far.
    listed: u64,
}

/// Entries of the key/value part, and tensors: more than any model has.
const MOST_ENTRIES: u64 = 1 << 20;

/// Entries of all lists together: tokens, their scores and types, merges. Each takes more memory than in the
/// file.
const MOST_LISTED: u64 = 1 << 22;

/// Bytes of a head: a large tokenizer has some 20 MiB.
const LARGEST: u64 = 128 << 20;

impl Head {
    pub(crate) fn new(file: File, size: u64) -> Self {
        Self { reader: BufReader::new(file), size, at: 0, listed: 0 }
    }

    /// Returns the number of bytes read so far.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    fn left(&self) -> u64 {
        self.size.min(LARGEST) - self.at
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        if self.left() < N as u64 {
            return Err(if self.size > LARGEST {
                format!("a head of more than {LARGEST} bytes")
            } else {
                format!("the file ends within its head, at byte {}", self.size)
            });
        }
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// Reads the number of entries that follow, each at least `bytes` long.
    pub(crate) fn count(&mut self, what: &str, bytes: u64) -> Result<usize, String> {
        let count = self.u64()?;
        if count > self.left() / bytes {
            return Err(format!(
                "{count} {what} at byte {} don't fit into the rest of the head",
                self.at - 8
            ));
        }
        Ok(count as usize)
    }

    pub(crate) fn entries(&mut self, what: &str) -> Result<u64, String> {
        let count = self.u64()?;
        if count > MOST_ENTRIES {
            return Err(format!("{count} {what} are more than {MOST_ENTRIES}"));
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self) -> Result<String, String> {
        let length = self.count("letters of a text", 1)?;
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        self.at += length as u64;
        String::from_utf8(bytes).map_err(|_| format!("the text before byte {} is not UTF-8", self.at))
    }

    /// Reads the key/value part.
    pub(crate) fn metadata(&mut self, count: u64) -> Result<Metadata, String> {
        let mut metadata = Metadata::default();
        for _ in 0..count {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind).map_err(|message| format!("{key}: {message}"))?;
            if metadata.0.insert(key.clone(), value).is_some() {
                return Err(format!("the key {key} is there twice"));
            }
        }
        Ok(metadata)
    }

    fn value(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            6 => Value::Float(shortest(f32::from_le_bytes(self.bytes()?))),
            7 => Value::Bool(self.bytes::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => self.array()?,
            12 => Value::Float(f64::from_le_bytes(self.bytes()?)),
            other => Value::Int(self.integer(other)?),
        })
    }

    fn integer(&mut self, kind: u32) -> Result<i128, String> {
        Ok(match kind {
            0 | 7 => u8::from_le_bytes(self.bytes()?).into(),
            1 => i8::from_le_bytes(self.bytes()?).into(),
            2 => u16::from_le_bytes(self.bytes()?).into(),
            3 => i16::from_le_bytes(self.bytes()?).into(),
            4 => self.u32()?.into(),
            5 => i32::from_le_bytes(self.bytes()?).into(),
            10 => self.u64()?.into(),
            11 => i64::from_le_bytes(self.bytes()?).into(),
            other => return Err(format!("values of type {other} are unknown")),
        })
    }

    fn array(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            other => return Err(format!("lists of type {other} are unknown")),
        };
        let count = self.count("entries of a list", width)?;
        self.listed += count as u64;
        if self.listed > MOST_LISTED {
            return Err(format!("lists of more than {MOST_LISTED} entries"));
        }
        Ok(match kind {
            8 => Value::Texts((0..count).map(|_| self.text()).collect::<Result<_, _>>()?),
            6 => Value::Floats(
                (0..count).map(|_| Ok(f32::from_le_bytes(self.bytes()?))).collect::<Result<_, String>>()?,
            ),
            12 => Value::Floats(
                (0..count)
                    .map(|_| Ok(f64::from_le_bytes(self.bytes()?) as f32))
                    .collect::<Result<_, String>>()?,
            ),
            kind => Value::Ints(
                (0..count).map(|_| Ok(self.integer(kind)? as i64)).collect::<Result<_, String>>()?,
            ),
        })
    }
}

/// Returns the shortest decimal number that reads as this float.
fn shortest(float: f32) -> f64 {
    float.to_string().parse().unwrap_or(f64::from(float))
}
