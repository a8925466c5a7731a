//! Supervised fine-tuning on demonstrations: the cold start.

use turnwise_envs::{DemoAnswer, DemoTurn, Demonstration};
use turnwise_model::Transformer;
use turnwise_rollout::Game;
use turnwise_rollout::chat::ChatError;
use turnwise_tools::CallFormat;
use turnwise_tools::observation::malformed_observation;
use turnwise_trajectory::{Message, Role};

use crate::config::SftConfig;
use crate::error::TrainError;
use crate::learn::nll::{self, Example};
use crate::learn::optimizer::Optimizer;

/// Writes a turn of the assistant, and the answer to its call as the environment says it.
fn written(format: &dyn CallFormat, turn: &DemoTurn) -> (String, Option<String>) {
    let Some((call, answer)) = &turn.call else { return (turn.text.clone(), None) };
    let text = match &*turn.text {
        "" => format.render(call),
        before => format!("{before}\n{}", format.render(call)),
    };
    match answer {
        DemoAnswer::Output(output) => (text, Some(output.clone())),
        DemoAnswer::Malformed => {
            let (text, said) = cut(format, &text);
            (text, Some(said))
        }
    }
}

/// Cuts a turn before the end of its call, and returns it with what a rollout says of such a call.
fn cut(format: &dyn CallFormat, text: &str) -> (String, String) {
    let ends = text.char_indices().rev().map(|(at, _)| text[..at].trim_end());
    let mut malformed = ends.filter_map(|cut| match &format.parse(cut)[..] {
        [Err(call)] => Some((cut.to_string(), malformed_observation(call))),
        _ => None,
    });
    malformed.next().expect("a format whose calls have an end")
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
        let (text, answer) = written(format, turn);
        texts.push(format!("assistant\n{text}"));
        texts.extend(answer.map(|answer| format!("user\n{}", format.render_output(&answer))));
    }
    texts
}

/// Encodes a demonstration as a rollout of it would be encoded.
pub fn example(game: &Game<'_>, demonstration: &Demonstration) -> Result<Example, ChatError> {
    let mut tokens = game.chat.open(&game.opening(&demonstration.task))?;
    let mut mask = vec![false; tokens.len()];
    let end = game.chat.stop_tokens()[0];
    for turn in &demonstration.turns {
        let (text, answer) = written(game.format, turn);
        tokens.extend(game.chat.turn(&text));
        tokens.push(end);
        mask.resize(tokens.len(), true);
        if let Some(answer) = answer {
            let marked = if game.chat.shows_tools() { answer } else { game.format.render_output(&answer) };
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
            TrainError::Input(format!("env.{} writes no demonstration {index}", game.env.name()))
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

#[cfg(test)]
mod tests {
    use turnwise_tools::format::FormatName;
    use turnwise_trajectory::ToolCall;

    use super::*;

    #[test]
    fn a_malformed_call_is_cut_in_every_format_and_answered_as_in_a_rollout() {
        let arguments = serde_json::json!({"code": "print(3 + 4)"}).as_object().unwrap().clone();
        let call = ToolCall { name: "python".into(), arguments, span: 0..0 };
        for name in FormatName::ALL {
            let format = name.build();
            let turn = DemoTurn { text: "3 + 4".into(), call: Some((call.clone(), DemoAnswer::Malformed)) };
            let (text, said) = written(&*format, &turn);
            let parsed = format.parse(&text);
            let [Err(malformed)] = &parsed[..] else { panic!("{name:?}: {text:?} is {parsed:?}") };
            assert_eq!(said, Some(malformed_observation(malformed)), "{name:?}");
            assert!(text.contains("print(3 + 4"), "{name:?}: nothing but the end is cut: {text:?}");
        }
    }
}
