//! Token ids and log-probabilities in dialects that have no place for them.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::ask::{Delivery, Form};
use crate::dialect::fields::Fields;
use crate::refusal::Refusal;

/// Reads the form of an answer that is one sequence.
pub(super) fn form(request: &Fields<'_>) -> Result<Form, Refusal> {
    let delivery = if request.flag("stream")? { Delivery::Counted } else { Delivery::Whole };
    let (logprobs, token_ids) = (request.flag("logprobs")?, request.flag("return_token_ids")?);
    Ok(Form { delivery, logprobs, likeliest: 0, token_ids })
}

/// Adds `prompt_token_ids` and `choices`, as chat completions have them, if the request asked for them.
pub(super) fn detail(answer: &Answer, written: &mut Value) {
    let (head, choice) = (&answer.head, &answer.choices[0]);
    let mut told = json!({"index": 0});
    if head.form.logprobs {
        let content = head.logprobs(&choice.tokens, &choice.logprobs, &choice.likeliest);
        told["logprobs"] = json!({"content": content});
    }
    if head.form.token_ids {
        told["token_ids"] = choice.tokens.as_slice().into();
        written["prompt_token_ids"] = head.prompt.as_slice().into();
    }
    if head.form.logprobs || head.form.token_ids {
        written["choices"] = json!([told]);
    }
}
