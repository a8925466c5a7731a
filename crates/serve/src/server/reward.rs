//! `POST /v1/sessions/ID/reward`: rewards from outside for a call of a session.

use serde_json::{Value, json};
use turnwise_trajectory::Rewards;

use crate::dialect::fields::{Fields, wrong};
use crate::refusal::Refusal;
use crate::session::all::Sessions;

/// Gives the rewards of a request to a session.
pub(crate) fn give(sessions: &Sessions, name: &str, request: &Value) -> Result<Value, Refusal> {
    let request = Fields::of(request, "")?;
    request.only(&[&["rewards", "turn", "done"]])?;
    let mut rewards = Rewards::default();
    if let Some(given) = request.get("rewards") {
        let given = given.as_object().ok_or_else(|| wrong("rewards", given, "an object of numbers"))?;
        for (name, reward) in given {
            let number = reward.as_f64();
            rewards.add(name, number.ok_or_else(|| wrong(&format!("rewards.{name}"), reward, "a number"))?);
        }
        if let Some(why) = rewards.unfit() {
            return Err(Refusal::at("rewards", why));
        }
    }
    let turn = request.whole("turn", 0..=u64::from(u32::MAX))?.map(|turn| turn as u32);
    let done = request.flag("done")?;
    if rewards.is_empty() && !done {
        return Err(Refusal::at("rewards", "is missing"));
    }
    if rewards.is_empty() && turn.is_some() {
        return Err(Refusal::at("turn", "there are no rewards for it"));
    }
    let turn = sessions.reward(name, turn, &rewards, done)?;
    Ok(json!({"session": name, "turn": turn, "done": done}))
}
