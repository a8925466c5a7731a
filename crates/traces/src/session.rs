//! Sessions as `turnwise serve --record` writes them.

use serde::Deserialize;
use turnwise_trajectory::{Finish, Rewards, TokenId};

use crate::document::Document;
use crate::error::Wrong;
use crate::exact::Columns;
use crate::trace::{Call, Trace};

/// Holds a line of `sessions.jsonl`.
#[derive(Deserialize)]
struct Line {
    session: String,
    calls: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    call: u32,
    parent: Option<u32>,
    prompt_token_ids: Option<Vec<TokenId>>,
    token_ids: Option<Vec<TokenId>>,
    logprobs: Option<Vec<f32>>,
    #[serde(default)]
    rewards: Rewards,
    #[serde(default)]
    diverged: bool,
    #[serde(default)]
    finish: Finish,
}

/// Reads a session.
pub(crate) fn read(document: &Document<'_>, place: &str) -> Result<Trace, Wrong> {
    let Line { session, calls } = document.read()?;
    let mut trace = Trace::new(session, place);
    for (nth, recorded) in calls.into_iter().enumerate() {
        let at = format!("calls[{nth}]");
        let Recorded { call: number, parent, prompt_token_ids, token_ids, logprobs, .. } = recorded;
        if trace.free(number) != number {
            return Err(Wrong::at(
                format!("{at}.call"),
                format!("{number} is the number of an earlier call"),
            ));
        }
        let columns = Columns { prompt: prompt_token_ids, sampled: token_ids, logprobs };
        let exact = columns.exact(&at, ["prompt_token_ids", "token_ids", "logprobs"])?;
        let parent = match parent {
            None => None,
            Some(parent) => Some(trace.numbered_before(parent, &exact.prompt).ok_or_else(|| {
                let message =
                    format!("no call {parent} before it has read and sampled what its prompt begins with");
                Wrong::at(format!("{at}.parent"), message)
            })?),
        };
        let Recorded { rewards, diverged, finish, .. } = recorded;
        trace.calls.push(Call { parent, finish, diverged, ..Call::of(number, exact) });
        trace.recorded(nth, rewards, &format!("{at}.rewards"))?;
    }
    Ok(trace)
}
