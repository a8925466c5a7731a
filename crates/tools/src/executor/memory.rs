//! Remembers the outputs of code that ran, within a bound of bytes.

use std::collections::HashMap;
use std::sync::Arc;

use turnwise_trajectory::ToolOutput;

/// Says what is known about a program.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// It has this output.
    Output(Arc<ToolOutput>),
    /// Its output depends on more than the code, so it runs each time.
    RunsEachTime,
}

/// Caches outputs in two generations.
///
/// When the young generation has filled its half of the bytes, it becomes the old one, and entries of the
/// former old one that nobody asked for are dropped. The key is the code itself, so two programs can't share
/// an entry.
#[derive(Debug)]
pub(super) struct Memory {
    young: HashMap<Box<str>, Known>,
    old: HashMap<Box<str>, Known>,
    young_bytes: usize,
    /// Maximum of bytes in a generation.
    half: usize,
}

/// Approximate bytes of an entry beyond its texts: slots of the map, pointers, the fixed part of the output.
const ENTRY: usize = 256;

impl Memory {
    /// Returns a memory of at most `bytes` bytes, code included.
    pub(super) fn new(bytes: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), young_bytes: 0, half: bytes / 2 }
    }

    /// Returns the knowledge about `code` and moves it to the young generation.
    pub(super) fn recall(&mut self, code: &str) -> Option<Known> {
        if let Some(known) = self.young.get(code) {
            return Some(known.clone());
        }
        let (code, known) = self.old.remove_entry(code)?;
        self.keep(code, known.clone());
        Some(known)
    }

    /// Stores `known` unless `code` has an entry. An entry larger than a generation isn't stored.
    pub(super) fn keep(&mut self, code: Box<str>, known: Known) {
        let bytes = bytes(&code, &known);
        if bytes > self.half || self.young.contains_key(&code) {
            return;
        }
        if self.young_bytes + bytes > self.half {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(code, known);
    }
}

fn bytes(code: &str, known: &Known) -> usize {
    let texts = match known {
        Known::Output(output) => {
            let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            output.stdout.len() + text(&output.value) + text(&output.error)
        }
        Known::RunsEachTime => 0,
    };
    ENTRY + code.len() + texts
}

#[cfg(test)]
mod tests {
    use turnwise_trajectory::OutputStatus;

    use super::*;

    fn prints(text: &str) -> Known {
        Known::Output(Arc::new(ToolOutput { stdout: text.into(), ..ToolOutput::of(OutputStatus::Ok) }))
    }

    fn held(memory: &Memory) -> usize {
        memory.young.iter().chain(&memory.old).map(|(code, known)| bytes(code, known)).sum()
    }

    #[test]
    fn the_bound_holds_and_what_is_asked_for_stays() {
        let max = 8 << 10;
        let mut memory = Memory::new(max);
        memory.keep("asked for".into(), prints("a"));
        for i in 0..1000_usize {
            let code = format!("code {i}");
            memory.keep(code.as_str().into(), prints(&"x".repeat(i * 37 % 900)));
            assert!(memory.recall(&code).is_some(), "the newest is kept");
            assert!(memory.recall("asked for").is_some());
            assert!(held(&memory) <= max, "{} bytes after {i}", held(&memory));
        }
        assert!(memory.recall("code 0").is_none(), "what nobody asks for is forgotten");
    }

    #[test]
    fn what_is_too_large_displaces_nothing() {
        let mut memory = Memory::new(4 << 10);
        memory.keep("small".into(), Known::RunsEachTime);
        memory.keep("large".into(), prints(&"x".repeat(4 << 10)));
        assert!(memory.recall("large").is_none() && memory.recall("small").is_some());
    }
}
