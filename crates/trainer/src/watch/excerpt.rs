//! Formats a trajectory for readers of a running training.

use turnwise_tools::observation;
use turnwise_trajectory::CallRecord;

use crate::record::StepRecord;

/// Formats the first trajectory of a step: sampled text, tool outputs, and whether the answer is right.
pub(crate) fn excerpt(step: &StepRecord) -> String {
    let first = step.played.groups.first().and_then(|group| group.first());
    let scored = step.groups.first().and_then(|group| group.trajectories.first());
    let (Some(played), Some(scored)) = (first, scored) else { return String::new() };
    let mut text = format!("{}\n", played.task);
    for turn in &played.turns {
        text += turn.text.trim_end();
        text.push('\n');
        for call in &turn.calls {
            let (sign, said) = match call {
                CallRecord::Executed { output, .. } => ("→ ", observation(output)),
                CallRecord::Malformed(call) => ("✗ ", call.message.clone()),
            };
            text.push_str(sign);
            text.push_str(said.trim_end());
            text.push('\n');
        }
    }
    text + if scored.correct { "(right)" } else { "(wrong)" }
}
