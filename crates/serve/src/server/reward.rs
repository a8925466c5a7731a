//! `POST /v1/sessions/ID/reward`: rewards from outside for a call of a session.

use serde_json::{Value, json};
use turnwise_trajectory::Rewards;

use crate::dialect::fields::{Fields, wrong};
use crate::refusal::Refusal;
use crate::session::all::Sessions;

/// Most names of rewards in a request, and most bytes of one.
const NAMES: (usize, usize) = (64, 64);

/// Gives the rewards of a request to a session.
pub(crate) fn give(sessions: &Sessions, name: &str, request: &Value) -> Result<Value, Refusal> {
    let request = Fields::of(request, "")?;
    request.only(&[&["rewards", "turn", "done"]])?;
    let mut rewards = Rewards::default();
    if let Some(given) = request.get("rewards") {
        let given = given.as_object().ok_or_else(|| wrong("rewards", given, "an object of numbers"))?;
        let (most, longest) = NAMES;
        if given.len() > most || given.keys().any(|name| name.is_empty() || name.len() > longest) {
            let message = format!("at most {most} names of 1 to {longest} bytes are read");
            return Err(Refusal::at("rewards", message));
        }
        for (name, reward) in given {
            // JSON has no infinities, but a number may be too large for a float.
            let number = reward.as_f64().filter(|number| number.is_finite());
            let number = number.ok_or_else(|| wrong(&format!("rewards.{name}"), reward, "a number"))?;
            if name == Rewards::ACC && !Rewards::is_accuracy(number) {
                let message =
                    format!("is {number}, expected a grade from 0 to 1; other names take any number");
                return Err(Refusal::at("rewards.acc", message));
            }
            rewards.add(name, number);
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
