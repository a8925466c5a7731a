//! The traces of several files, and the formats that they are written in.

use std::collections::HashMap;

use serde::Serialize;
use turnwise_run::GroupRecord;
use turnwise_trajectory::TokenId;

use crate::document::{Document, Format, documents};
use crate::error::{TraceError, Wrong};
use crate::trace::Trace;
use crate::verdict::Verdict;
use crate::{atif, rollouts, session, training_trace};

/// Holds traces in the order in which they were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traces {
    all: Vec<Trace>,
    /// The traces of runs that span several documents of ATIF.
    spans: atif::Spans,
}

/// Returns the place of a document.
fn place(file: &str, document: &Document<'_>) -> String {
    format!("{file}:{}", document.line)
}

/// Reads the documents of a text.
fn split<'t>(file: &str, text: &'t str) -> Result<Vec<Document<'t>>, TraceError> {
    documents(text).map_err(|(line, wrong)| wrong.of(&format!("{file}:{line}")))
}

impl Traces {
    /// Adds the traces of a file, in any of the formats. A trace that doesn't say its name is called like the
    /// file, and like the file and the line if it begins after the first. Returns the index of the last one.
    ///
    /// # Errors
    /// The place and the key of the first fault.
    pub fn read(&mut self, file: &str, text: &str) -> Result<Option<usize>, TraceError> {
        let mut last = None;
        for document in split(file, text)? {
            let place = place(file, &document);
            let name = if document.line == 1 { file } else { place.as_str() };
            last = self.add(&document, name, &place).map_err(|wrong| wrong.of(&place))?;
        }
        Ok(last)
    }

    /// Adds the traces of a document. Returns the index of the last one.
    fn add(&mut self, document: &Document<'_>, name: &str, place: &str) -> Result<Option<usize>, Wrong> {
        match document.format()? {
            Format::Session => self.all.push(session::read(document, place)?),
            Format::Rollouts => self.all.extend(rollouts::read(document, place)?),
            Format::TrainingTrace => self.all.push(training_trace::read(document, name, place)?),
            Format::Atif => return self.spans.read(&mut self.all, document, (name, place)).map(Some),
        }
        Ok(self.all.len().checked_sub(1))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If a trace is continued in a document that wasn't read.
    pub fn whole(&self) -> Result<(), TraceError> {
        self.spans.whole(&self.all)
    }

    /// Gives traces their rewards, by the lines of a file: `session`, and any of `task`, `rewards`,
    /// `turn_rewards` and `correct`. Equal names are told in their order.
    ///
    /// # Errors
    /// The place and the key of the first fault.
    pub fn reward(&mut self, file: &str, text: &str) -> Result<(), TraceError> {
        let mut told: HashMap<String, usize> = HashMap::new();
        for document in split(file, text)? {
            let place = place(file, &document);
            let verdict = Verdict::read(&document).map_err(|wrong| wrong.of(&place))?;
            let nth = told.entry(verdict.session.clone()).or_default();
            let mut named = self.all.iter_mut().filter(|trace| trace.name == verdict.session);
            let trace = named.nth(*nth).ok_or_else(|| {
                let which = if *nth == 0 { "no trace is" } else { "no further trace is" };
                Wrong::at("session", format!("{which} called {:?}", verdict.session)).of(&place)
            })?;
            *nth += 1;
            verdict.tell(trace).map_err(|wrong| wrong.of(&place))?;
        }
        Ok(())
    }

    /// Gives the trace of an index the task and the rewards of a trial of Harbor: `text` is its result.
    ///
    /// # Errors
    /// The place and the key of the first fault.
    ///
    /// # Panics
    /// If there is no such trace.
    pub fn reward_trial(&mut self, trace: usize, file: &str, text: &str) -> Result<(), TraceError> {
        for document in split(file, text)? {
            let told = Verdict::of_trial(&document).and_then(|verdict| verdict.tell(&mut self.all[trace]));
            told.map_err(|wrong| wrong.of(&place(file, &document)))?;
        }
        Ok(())
    }

    /// Returns the traces.
    pub fn all(&self) -> &[Trace] {
        &self.all
    }

    /// Fills texts that aren't known.
    ///
    /// - `sampled`: the text of sampled tokens
    /// - `read`: the text of tokens of a prompt
    pub fn spell(&mut self, sampled: impl Fn(&[TokenId]) -> String, read: impl Fn(&[TokenId]) -> String) {
        self.all.iter_mut().for_each(|trace| trace.spell(&sampled, &read));
    }

    /// Returns groups of rollouts, one per task, in the order of their first traces. Traces without calls are
    /// left out.
    ///
    /// `correct_at`: the sum of rewards named `acc` from which a trace without a verdict is right.
    ///
    /// # Errors
    /// If no trace has a reward.
    pub fn rollouts(&self, correct_at: f64) -> Result<Vec<GroupRecord>, TraceError> {
        match self.all.first() {
            Some(first) if !self.all.iter().any(Trace::is_rewarded) => Err(Wrong::all(
                "no trace has a reward, and training needs them\n  hint: --rewards FILE gives them, \
                 {\"session\": \"NAME\", \"rewards\": {\"acc\": 1.0}} a line",
            )
            .of(&first.place)),
            _ => Ok(rollouts::groups(&self.all, correct_at)),
        }
    }

    /// Returns each trace as a `TrainingTrace` of OpenEnv.
    pub fn training_traces(&self) -> impl Iterator<Item: Serialize> {
        self.attempts().map(|(trace, attempt)| training_trace::Written::of(trace, attempt))
    }

    /// Returns each trace as a trajectory of ATIF 1.7.
    pub fn atif(&self) -> impl Iterator<Item: Serialize> {
        self.attempts().map(|(trace, attempt)| atif::Written::of(trace, attempt))
    }

    /// Returns the traces that have calls, each with its number among those of its name.
    fn attempts(&self) -> impl Iterator<Item = (&Trace, u32)> {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        self.all.iter().filter(|trace| !trace.calls.is_empty()).map(move |trace| {
            let next = seen.entry(&trace.name).or_default();
            *next += 1;
            (trace, *next - 1)
        })
    }
}
