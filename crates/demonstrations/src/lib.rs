//! Conversations of others as training data: rows of a file to tokens, with a mask of what is trained.
//!
//! A row is read into a [`Conversation`], whatever its shape: `messages` and `tools` in OpenAI's form,
//! `prompt` and `completion`, `conversations` of `from` and `value`, a problem of GSM8K, or a line of
//! `turnwise rollout`. A [`Writer`] spells it by the model folder's chat template as one or several
//! [`Sequence`]s, and [`Demonstrations`] holds all of them with a [`Report`] of what was left out or cut,
//! where and why.
//!
//! # The rule of masks
//! A turn of the assistant is trained as the template would have prompted it: what stands before it is the
//! template's prompt for the messages before it, and the trained tokens are those that the template writes of
//! the turn, up to and with the token that ends it. If the template keeps what it wrote of earlier turns, all
//! turns are in one sequence, which is the conversation as `transformers` renders it. A template that writes
//! earlier turns otherwise (Qwen3 takes their thoughts away) begins another sequence there, because a policy
//! sees exactly that.

mod calls;
mod config;
mod conversation;
mod demonstrations;
mod gsm8k;
mod left_out;
mod plain;
mod python_number;
mod record;
mod report;
mod row;
mod sequence;
mod shapes;
mod share_gpt;
mod writer;

pub use config::{COLUMNS, DataConfig, TooLong, TrainOn};
pub use conversation::Conversation;
pub use demonstrations::{Demonstrations, read};
pub use left_out::{LeftOut, Reason};
pub use report::{Place, Report, Tally};
pub use sequence::Sequence;
pub use writer::{Writer, Written};
