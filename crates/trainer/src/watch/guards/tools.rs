//! Tool use dying out: the policy answers without calling.

use serde_json::Value;

use super::series::{at_first, lately};
use super::{Alarm, LimitsConfig};
use crate::json_lines::Record;

pub(super) fn look(records: &[Record], limits: &LimitsConfig) -> Alarm {
    let now = lately(records, limits.window, calls_per_trajectory)?;
    let first = at_first(records, limits.window, calls_per_trajectory)?;
    let cause = || format!("{now:.2} calls per trajectory, {first:.2} at first");
    (now < limits.tools_share * first).then(|| {
        (cause(), "read the rollouts: do calls fail, or do they break the format (reward.format_penalty)?")
    })
}

/// Calls of all turns, well-formed or not, per trajectory.
fn calls_per_trajectory(record: &Record) -> Option<f64> {
    let turns = record.get("by_turn")?.as_array()?;
    let count = |turn: &Value, key: &str| turn["calls"][key].as_f64();
    let trajectories = count(turns.first()?, "turns")?;
    let calls = |turn: &Value| {
        ["malformed", "ok", "error", "stopped"].iter().filter_map(|key| count(turn, key)).sum::<f64>()
    };
    Some(turns.iter().map(calls).sum::<f64>() / trajectories.max(1.0))
}
