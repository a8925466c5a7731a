//! Conversations of a file as a cold start trains on them.

use serde_json::Value;
use turnwise_curriculum::{CurriculumConfig, TaskDraw};
use turnwise_datasets::{DataError, rows};
use turnwise_demonstrations::{
    Conversation, DataConfig, Demonstrations, LeftOut, Report, Sequence, Writer, read,
};
use turnwise_envs::EnvConfig;
use turnwise_rollout::chat::{Moment, Rendering, rendering};

use crate::cold_start::beginning::Beginning;
use crate::config::{SftConfig, StartConfig};
use crate::error::TrainError;
use crate::learn::nll::Example;

/// Holds the conversations that could be read, with their lines.
pub(crate) struct Conversations {
    all: Vec<(usize, Conversation)>,
    report: Report,
}

impl Conversations {
    /// Reads the file of a configuration. Problems of GSM8K get the instruction of `env` if that asks them.
    pub(crate) fn read(data: &DataConfig, env: Option<&EnvConfig>) -> Result<Self, TrainError> {
        let instruction = match env {
            Some(EnvConfig::Qa(qa)) => Some(qa.instruction.as_str()),
            _ => None,
        };
        let mut read_rows = Vec::new();
        for row in rows(&data.file)?.take(data.limit.unwrap_or(usize::MAX)) {
            let row = row?;
            let mut value: Value = row.read(&data.file, &data.columns)?;
            let columns = Conversation::columns(&value);
            if let Some((place, digits)) = row.integer_beyond_64_bits(&data.columns, columns) {
                read_rows.push((row.line, Err(LeftOut::large_integer(&place, &digits))));
                continue;
            }
            if let (Some(instruction), Some(keys)) = (instruction, value.as_object_mut())
                && keys.contains_key("question")
            {
                keys.entry("system").or_insert_with(|| instruction.into());
            }
            if row.is_partial()
                && let Err(left_out) = Conversation::read(&value)
            {
                return Err(row.broken(&data.file, left_out.message).into());
            }
            read_rows.push((row.line, Ok(value)));
        }
        if read_rows.is_empty() {
            let message = "no record; hint: one conversation per line";
            return Err(DataError::line(&data.file, 1, message).into());
        }
        let (all, report) = read(&data.file, read_rows);
        Ok(Self { all, report })
    }

    /// Returns their texts, message by message, if a tokenizer is to be made from them.
    pub(crate) fn texts(&self, config: &SftConfig) -> Option<Vec<String>> {
        let StartConfig::Scratch(_) = &config.model else { return None };
        let format = config.rollout.call_format_without_folder();
        let texts = |(_, conversation): &(usize, Conversation)| {
            Writer::texts(conversation, &*format, config.rollout.describe_tools)
        };
        Some(self.all.iter().flat_map(texts).collect())
    }

    /// Spells them in tokens by the folder's template. `now` is the date that it shows.
    ///
    /// # Errors
    /// If the template can't be used, or nothing is left to train on.
    pub(crate) fn write(
        self,
        config: &SftConfig,
        data: &DataConfig,
        beginning: &Beginning<'_>,
        now: Moment,
    ) -> Result<(Rendering, Demonstrations), TrainError> {
        let rollout = &config.rollout;
        let rendering = rendering(rollout.chat, beginning.folder, beginning.tokenizer.clone(), now)?;
        let format = rollout.call_format(beginning.folder, &beginning.tokenizer)?;
        let writer = Writer::new(&rendering, &*format, rollout.describe_tools);
        let made = Demonstrations::write(&self.all, self.report, writer, data, beginning.context());
        if made.sequences.is_empty() {
            return Err(TrainError::Input(made.report.nothing_left()));
        }
        Ok((rendering, made))
    }
}

/// Returns the sequences of a step. Every sequence comes once per epoch, each epoch in another order.
pub(crate) fn examples(sequences: &[Sequence], config: &SftConfig, step: usize) -> Vec<Example> {
    let draw = TaskDraw::new(CurriculumConfig::default(), config.seed, sequences.len());
    let example = |index: usize| {
        let Sequence { tokens, mask, .. } = &sequences[index];
        Example { tokens: tokens.clone(), mask: mask.clone() }
    };
    draw.of_step(step, config.batch).take(config.batch).map(example).collect()
}
