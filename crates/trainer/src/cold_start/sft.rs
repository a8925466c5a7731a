//! Supervised fine-tuning on demonstrations: the cold start.

use turnwise_envs::{DemoTurn, Demonstration};
use turnwise_model::Transformer;
use turnwise_rollout::Game;
use turnwise_rollout::chat::ChatError;
use turnwise_tools::CallFormat;
use turnwise_trajectory::{Message, Role};

use crate::config::SftConfig;
use crate::error::TrainError;
use crate::learn::nll::{self, Example};
use crate::learn::optimizer::Optimizer;

/// Returns the text of an assistant turn.
fn turn_text(format: &dyn CallFormat, turn: &DemoTurn) -> String {
    match &turn.call {
        Some((call, _)) if turn.text.is_empty() => format.render(call),
        Some((call, _)) => format!("{}\n{}", turn.text, format.render(call)),
        None => turn.text.clone(),
    }
}

/// Returns the text of a conversation, message by message, for training a tokenizer. `opening` comes first.
pub fn transcript(
    format: &dyn CallFormat,
    opening: &[Message],
    demonstration: &Demonstration,
) -> Vec<String> {
    let mut texts: Vec<String> =
        opening.iter().map(|m| format!("{}\n{}", m.role.name(), m.content)).collect();
    for turn in &demonstration.turns {
        texts.push(format!("assistant\n{}", turn_text(format, turn)));
        if let Some((_, output)) = &turn.call {
            texts.push(format!("user\n{}", format.render_output(output)));
        }
    }
    texts
}

/// Encodes a demonstration as a rollout of it would be encoded.
pub fn example(game: &Game<'_>, demonstration: &Demonstration) -> Result<Example, ChatError> {
    let mut tokens = game.chat.open(&game.opening(&demonstration.task))?;
    let mut mask = vec![false; tokens.len()];
    let end = game.chat.stop_tokens()[0];
    for turn in &demonstration.turns {
        tokens.extend(game.chat.turn(&turn_text(game.format, turn)));
        tokens.push(end);
        mask.resize(tokens.len(), true);
        if let Some((_, output)) = &turn.call {
            let marked =
                if game.chat.shows_tools() { output.clone() } else { game.format.render_output(output) };
            tokens.extend(game.chat.follow(&[Message::new(Role::Tool, marked)], true)?);
            mask.resize(tokens.len(), false);
        }
    }
    Ok(Example { tokens, mask })
}

/// Returns the demonstrations of a step, from the environment's stream.
pub(crate) fn examples(game: &Game<'_>, config: &SftConfig, step: usize) -> Result<Vec<Example>, TrainError> {
    let of_place = |i: usize| -> Result<Example, TrainError> {
        let index = (step * config.batch + i) as u64;
        let demonstration = game.env.demonstration(index).ok_or_else(|| {
            let name = game.env.name();
            let hint = "env.arithmetic, env.lookup and env.programs do; or name conversations by data.file";
            TrainError::Input(format!("env.{name} writes no demonstrations\n  hint: {hint}"))
        })?;
        Ok(example(game, &demonstration)?)
    };
    (0..config.batch).map(of_place).collect()
}

/// Trains on the examples of each step. `told` hears the loss (mean negative log-probability per trained
/// token, in nats) after each step.
pub(crate) fn fine_tune(
    mut model: Transformer,
    config: &SftConfig,
    examples: &dyn Fn(usize) -> Result<Vec<Example>, TrainError>,
    told: &mut dyn FnMut(usize, f64),
) -> Result<Transformer, TrainError> {
    let mut optimizer = Optimizer::new(&config.optimizer).with_cosine(config.steps);
    for step in 0..config.steps {
        let loss;
        (model, loss) = nll::step(model, &mut optimizer, &examples(step)?, &config.optimizer);
        told(step, loss);
    }
    Ok(model)
}
