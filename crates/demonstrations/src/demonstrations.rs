//! All conversations of a file, in tokens.

use std::path::Path;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::Value as Json;

use crate::config::{DataConfig, TrainOn};
use crate::conversation::Conversation;
use crate::left_out::{LeftOut, Reason};
use crate::report::Report;
use crate::sequence::Sequence;
use crate::writer::{Writer, Written};

/// Holds the sequences that a file of conversations is trained as.
#[derive(Debug, Clone, PartialEq)]
pub struct Demonstrations {
    /// Sequences in the order of the file.
    pub sequences: Vec<Sequence>,
    /// Counts of what was read, cut and left out.
    pub report: Report,
}

/// Reads rows with their lines, from 1. A row may be left out already.
///
/// Returns each conversation with its line, and a report of the other rows.
pub fn read(
    file: &Path,
    rows: impl IntoIterator<Item = (usize, Result<Json, LeftOut>)>,
) -> (Vec<(usize, Conversation)>, Report) {
    let mut report = Report { file: file.into(), ..Report::default() };
    let mut conversations = Vec::new();
    for (line, row) in rows {
        report.rows += 1;
        match row.and_then(|row| Conversation::read(&row)) {
            Ok(conversation) => conversations.push((line, conversation)),
            Err(why) => report.leave_out(line, &why),
        }
    }
    (conversations, report)
}

impl Demonstrations {
    /// Writes conversations in tokens. `context` bounds sequences beside `config.max_tokens`.
    pub fn write(
        conversations: &[(usize, Conversation)],
        mut report: Report,
        writer: Writer<'_>,
        config: &DataConfig,
        context: usize,
    ) -> Self {
        let limit = config.max_tokens.min(context);
        // The end of a conversation decides what is trained on with "last" or "all".
        let writer = match config.train_on {
            TrainOn::Assistant => writer.within(limit),
            TrainOn::Last | TrainOn::All => writer,
        };
        let write = |(line, conversation): &(usize, Conversation)| {
            (*line, writer.write(*line, conversation, config.train_on))
        };
        let written: Vec<(usize, Result<Written, LeftOut>)> = conversations.par_iter().map(write).collect();
        let mut sequences = Vec::new();
        for (line, written) in written {
            let Written { sequences: written, unseen_thoughts } = match written {
                Ok(written) => written,
                Err(why) => {
                    report.leave_out(line, &why);
                    continue;
                }
            };
            for index in unseen_thoughts {
                report.unseen_thoughts.add(line, &format!("messages[{index}]"));
            }
            let before = sequences.len();
            for sequence in written {
                let length = sequence.tokens.len();
                let Some((fitted, cut)) = sequence.fitted(limit, config.too_long) else {
                    let message = format!("{length} tokens, at most {limit} fit");
                    report.leave_out(line, &LeftOut::new(Reason::TooLong, message));
                    continue;
                };
                if cut {
                    let left = fitted.tokens.len();
                    report.cut.add(line, &format!("{length} tokens; {left} of at most {limit} are left"));
                }
                sequences.push(fitted);
            }
            report.conversations += usize::from(sequences.len() > before);
        }
        report.sequences = sequences.len();
        report.tokens = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        report.trained_tokens = sequences.iter().map(Sequence::trained).sum();
        report.longest = sequences.iter().map(|sequence| sequence.tokens.len()).max().unwrap_or(0);
        Self { sequences, report }
    }
}
