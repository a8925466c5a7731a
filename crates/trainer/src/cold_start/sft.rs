//! Supervised fine-tuning on demonstrations: the cold start.

use turnwise_envs::{DemoTurn, Demonstration};
use turnwise_model::{Question, TokenBatch, Transformer, add_gradients};
use turnwise_rollout::Game;
use turnwise_rollout::chat::ChatError;
use turnwise_tools::CallFormat;
use turnwise_trajectory::{Message, Role, TokenId};

use crate::config::{OptimizerConfig, SftConfig};
use crate::device::workers;
use crate::error::TrainError;
use crate::learn::learner::{Split, accumulate};
use crate::learn::optimizer::Optimizer;

/// A demonstration as tokens, with the ones that the policy should learn to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// All tokens.
    pub tokens: Vec<TokenId>,
    /// Whether a token belongs to an assistant turn (its end included).
    pub mask: Vec<bool>,
}

/// The text of an assistant turn.
fn turn_text(format: &dyn CallFormat, turn: &DemoTurn) -> String {
    match &turn.call {
        Some((call, _)) if turn.text.is_empty() => format.render(call),
        Some((call, _)) => format!("{}\n{}", turn.text, format.render(call)),
        None => turn.text.clone(),
    }
}

/// A conversation message by message, opened with `opening`: what a tokenizer is made from.
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

/// A demonstration in the tokens that a rollout of it would have.
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

/// Trains on the environment's stream of demonstrations. `told` hears the loss (mean negative log-probability per
/// token, in nats) after each step.
pub fn fine_tune(
    mut model: Transformer,
    game: &Game<'_>,
    config: &SftConfig,
    told: &mut dyn FnMut(usize, f64),
) -> Result<Transformer, TrainError> {
    let mut optimizer = Optimizer::new(&config.optimizer).with_cosine(config.steps);
    for step in 0..config.steps {
        let examples: Vec<Example> = (0..config.batch)
            .map(|i| {
                let index = (step * config.batch + i) as u64;
                let demonstration = game.env.demonstration(index).ok_or_else(|| {
                    let name = game.env.name();
                    TrainError::Input(format!(
                        "env.{name} writes no demonstrations\n  hint: env.arithmetic, env.lookup and env.programs do"
                    ))
                })?;
                Ok(example(game, &demonstration)?)
            })
            .collect::<Result<_, TrainError>>()?;
        let loss;
        (model, loss) = self::step(model, &mut optimizer, &examples, &config.optimizer);
        told(step, loss);
    }
    Ok(model)
}

/// One step on examples, and their loss before it: the mean negative log-probability per trained token, in nats.
pub fn step(
    model: Transformer,
    optimizer: &mut Optimizer,
    examples: &[Example],
    config: &OptimizerConfig,
) -> (Transformer, f64) {
    let split = Split {
        tokens: config.micro_batch_tokens,
        workers: workers::count(&model.device()),
        recompute: config.recompute,
    };
    let (gradients, loss) = nll_gradient(&model, examples, split);
    (optimizer.step(model, gradients).0, loss)
}

fn nll_gradient(
    model: &Transformer,
    examples: &[Example],
    split: Split,
) -> (burn::optim::GradientsParams, f64) {
    let lengths: Vec<usize> = examples.iter().map(|e| e.tokens.len()).collect();
    let trained: usize = examples.iter().map(|e| e.mask.iter().filter(|m| **m).count()).sum();
    let (gradients, losses) = accumulate(model, &lengths, split, |total, model, rows, recompute| {
        let batch =
            TokenBatch::new(&rows.iter().map(|&row| examples[row].tokens.as_slice()).collect::<Vec<_>>());
        let wanted: Vec<bool> = rows
            .iter()
            .flat_map(|&row| {
                (0..batch.columns).map(move |t| examples[row].mask.get(t).copied().unwrap_or(false))
            })
            .collect();
        let question = Question { batch: &batch, wanted: &wanted, temperature: 1.0, with_entropy: false };
        add_gradients(total, model, &question, recompute, |answer| {
            let loss = answer.logprobs.sum().div_scalar(-(trained as f64));
            let value = f64::from(loss.clone().inner().into_scalar::<f32>());
            (loss, value)
        })
    });
    (gradients, losses.into_iter().sum())
}
