//! A line of `sessions.jsonl`.

use serde::Serialize;
use turnwise_trajectory::{Finish, Rewards, TokenId};

use crate::session::tree::{Node, Session};

impl Session {
    /// Returns the session as a line of a record.
    pub(crate) fn record<'s>(&'s self, name: &'s str, done: bool) -> Line<'s> {
        let diverged = self.diverged();
        let call = |(call, node): (&u32, &'s Node)| Call {
            number: *call,
            parent: node.parent,
            prompt_token_ids: self.prompt(node),
            token_ids: &node.sampled,
            logprobs: &node.logprobs,
            rewards: &node.rewards,
            diverged: diverged.contains(call),
            finish: node.finish,
        };
        Line { session: name, calls: self.calls.iter().map(call).collect(), done }
    }
}

/// Holds a line of `sessions.jsonl`.
#[derive(Serialize)]
pub(crate) struct Line<'s> {
    session: &'s str,
    calls: Vec<Call<'s>>,
    done: bool,
}

#[derive(Serialize)]
struct Call<'s> {
    #[serde(rename = "call")]
    number: u32,
    parent: Option<u32>,
    prompt_token_ids: Vec<TokenId>,
    token_ids: &'s [TokenId],
    logprobs: &'s [f32],
    rewards: &'s Rewards,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    diverged: bool,
    #[serde(skip_serializing_if = "is_whole")]
    finish: Finish,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_whole(finish: &Finish) -> bool {
    *finish == Finish::EndOfTurn
}
