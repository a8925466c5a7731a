//! A look at what a cold start would train on, without its model.

use serde::Serialize;
use turnwise_demonstrations::{Report, Sequence};
use turnwise_rollout::chat::{Moment, Rendering};

use crate::cold_start::beginning::Beginning;
use crate::cold_start::conversations::Conversations;
use crate::config::SftConfig;
use crate::error::TrainError;

/// Holds conversations in tokens, as `turnwise sft --dry-run` shows them.
pub struct Preview {
    rendering: Rendering,
    /// Counts of the file.
    pub report: Report,
    sequences: Vec<Sequence>,
}

/// Holds a token of a sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    /// Its id in the vocabulary.
    pub id: u32,
    /// Its text; a part of a character is a replacement character.
    pub text: String,
    /// Whether it is trained.
    pub trained: bool,
}

/// Reads the conversations of a configuration; none if it has no `data`. `now` is the date that a template
/// shows.
pub fn preview(config: &SftConfig, now: Moment) -> Result<Option<Preview>, TrainError> {
    let Some(data) = &config.data else { return Ok(None) };
    let conversations = Conversations::read(data, config.env.as_ref())?;
    let beginning = Beginning::of(config, conversations.texts(config))?;
    let (rendering, made) = conversations.write(config, data, &beginning, now)?;
    Ok(Some(Preview { rendering, report: made.report, sequences: made.sequences }))
}

impl Preview {
    /// Returns the sequences of a line of the file; of the first conversation, without one.
    pub fn of_line(&self, line: Option<usize>) -> Vec<&Sequence> {
        let line = line.or_else(|| self.sequences.first().map(|first| first.line));
        self.sequences.iter().filter(|sequence| Some(sequence.line) == line).collect()
    }

    /// Returns the text of a sequence, with `⟦` and `⟧` around each run of trained tokens.
    pub fn marked(&self, sequence: &Sequence) -> String {
        let run = |(trained, tokens): (bool, &[u32])| {
            let text = self.rendering.decode(tokens);
            if trained { format!("⟦{text}⟧") } else { text }
        };
        sequence.runs().map(run).collect()
    }

    /// Returns a sequence token by token.
    pub fn tokens(&self, sequence: &Sequence) -> Vec<Token> {
        let token =
            |(&id, &trained): (&u32, &bool)| Token { id, text: self.rendering.decode(&[id]), trained };
        sequence.tokens.iter().zip(&sequence.mask).map(token).collect()
    }
}
