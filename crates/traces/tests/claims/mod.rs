//! Claims about every file of traces. The fuzz target and the replay of its corpus check the same.

use serde_json::{Value, json};
use turnwise_run::GroupRecord;
use turnwise_traces::Traces;

/// Returns the parts of groups that every format keeps.
pub(crate) fn kept(groups: &[GroupRecord]) -> Value {
    let trajectory = |record: &turnwise_run::TrajectoryRecord| {
        let (played, scored) = (&record.played, &record.scored);
        let turns = played.turns.iter().map(|turn| {
            json!([
                turn.tokens,
                turn.logprobs,
                turn.rewards,
                turn.observation,
                turn.branch,
                turn.finish,
                turn.version
            ])
        });
        json!({
            "sample": played.sample,
            "prompt": played.prompt,
            "stop": played.stop,
            "turns": turns.collect::<Vec<_>>(),
            "rewards": scored.turns,
            "correct": scored.correct,
        })
    };
    let group = |group: &GroupRecord| {
        json!([group.group, group.trajectories.iter().map(trajectory).collect::<Vec<_>>()])
    };
    groups.iter().map(group).collect()
}

/// Reads a text as traces.
pub(crate) fn read(text: &str) -> Result<Traces, String> {
    let mut traces = Traces::default();
    traces.read("f", text).and_then(|_| traces.whole()).map_err(|error| error.to_string())?;
    Ok(traces)
}

/// Writes traces in the formats of others, one a line.
pub(crate) fn written(traces: &Traces) -> [String; 2] {
    let line = |value: Result<String, serde_json::Error>| value.expect("plain values") + "\n";
    [
        traces.training_traces().map(|trace| line(serde_json::to_string(&trace))).collect(),
        traces.atif().map(|trace| line(serde_json::to_string(&trace))).collect(),
    ]
}

/// Reads bytes as traces. They are refused in a line with their place, or every format keeps their tokens,
/// log-probabilities, rewards and trees.
pub(crate) fn hold(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let traces = match read(text) {
        Ok(traces) => traces,
        Err(message) => {
            assert!(message.starts_with("f:"), "{message}");
            return;
        }
    };
    let Ok(groups) = traces.rollouts(1.0) else { return };
    for record in groups.iter().flat_map(|group| &group.trajectories) {
        record.played.check();
        assert!(record.played.is_tree() && !record.played.prompt.is_empty());
        assert_eq!(record.scored.turns.len(), record.played.turns.len());
        let turns: usize = record.played.sequences().iter().map(|sequence| sequence.turns.len()).sum();
        assert_eq!(turns, record.played.turns.len(), "each turn is in one sequence");
    }
    for text in written(&traces) {
        let again = read(&text).expect("what was written is read");
        assert_eq!(kept(&again.rollouts(1.0).expect("rewards")), kept(&groups), "{text}");
    }
}
