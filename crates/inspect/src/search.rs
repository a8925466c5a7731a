//! Searches the text of rollouts on disk. A group's line is parsed only if its bytes may hold a match.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use turnwise_trajectory::CallRecord;

use crate::conversation::{group_line, opening};
use crate::error::InspectError;
use crate::index::Index;
use crate::outline::{GroupTexts, TurnTexts};
use crate::pieces::Pieces;

/// Returns the rollouts of `ids` whose task, prompt, turns or tool output contain `text`. `ids` are in the
/// order of the index. ASCII letters match in either case.
pub(crate) fn matching(
    index: &Index,
    pieces: &Pieces,
    ids: &[u32],
    text: &str,
) -> Result<Vec<u32>, InspectError> {
    let rows = index.rows();
    let groups: Vec<&[u32]> =
        ids.chunk_by(|&a, &b| rows[a as usize].group == rows[b as usize].group).collect();
    let sought = Sought::new(text);
    let prompts: Mutex<HashMap<Arc<str>, bool>> = Mutex::default();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some((at, ids)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            groups.get(at).map(|ids| (at, ids))
        } {
            let task = &rows[ids[0] as usize].task;
            let known = prompts.lock().expect("no thread panicked").get(task).copied();
            let line = index.line(rows[ids[0] as usize].group)?;
            if known == Some(false) && !sought.may_be_in(&line) {
                continue;
            }
            // The index has already reported lines that can't be read.
            let Ok(group) = serde_json::from_slice::<GroupTexts>(&group_line(&line)) else { continue };
            // All trajectories of a task share its prompt.
            let prompt = known.unwrap_or_else(|| {
                let prompt = group.trajectories.first().map_or(&[][..], |one| &one.played.prompt);
                let asked = opening(&group.messages).unwrap_or_else(|| pieces.text(prompt));
                sought.is_in(&group.group) || sought.is_in(&asked)
            });
            prompts.lock().expect("no thread panicked").insert(task.clone(), prompt);
            let hit = |id: &u32| {
                let trajectory = group.trajectories.get(rows[*id as usize].at as usize);
                let mut turns = trajectory.into_iter().flat_map(|trajectory| &trajectory.played.turns);
                prompt || turns.any(|turn| sought.is_in_turn(turn))
            };
            found.push((at, ids.iter().copied().filter(hit).collect::<Vec<_>>()));
        }
        Ok(found)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(groups.len().max(1));
    let results: Vec<Result<Vec<_>, InspectError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a search thread panicked")).collect()
    });
    let mut found = Vec::new();
    for result in results {
        found.extend(result?);
    }
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().flat_map(|(_, ids)| ids).collect())
}

struct Sought {
    plain: Vec<u8>,
    /// The text in the escapes of JSON.
    escaped: Vec<u8>,
}

impl Sought {
    fn new(text: &str) -> Self {
        let json = serde_json::to_string(text).expect("a string");
        Self { plain: text.into(), escaped: json[1..json.len() - 1].into() }
    }

    fn may_be_in(&self, line: &[u8]) -> bool {
        holds(line, &self.escaped)
    }

    fn is_in(&self, text: &str) -> bool {
        holds(text.as_bytes(), &self.plain)
    }

    fn is_in_turn(&self, turn: &TurnTexts) -> bool {
        let in_call = |call: &CallRecord| match call {
            CallRecord::Executed { output, .. } => {
                let more = [&output.value, &output.error];
                self.is_in(&output.stdout) || more.into_iter().flatten().any(|text| self.is_in(text))
            }
            CallRecord::Malformed(call) => self.is_in(&call.message),
        };
        self.is_in(&turn.text) || turn.calls.iter().any(in_call)
    }
}

/// Returns whether `text` contains `sought`, with ASCII letters in either case.
fn holds(text: &[u8], sought: &[u8]) -> bool {
    let Some(&first) = sought.first() else { return true };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, text)
        .any(|at| text.get(at..at + sought.len()).is_some_and(|found| found.eq_ignore_ascii_case(sought)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_match_in_either_case_and_escapes_are_seen_through() {
        let check = |text: &str, sought: &str, expect: bool| {
            let line = serde_json::to_vec(text).unwrap();
            let sought = Sought::new(sought);
            assert_eq!((sought.is_in(text), sought.may_be_in(&line)), (expect, expect), "{text:?}");
        };
        check("Traceback: ZeroDivisionError", "zerodivision", true);
        check("print(\"a\nb\")", "\"A\nB", true);
        check("<script>", "</script>", false);
        check("aab", "ab", true);
        check("é", "é", true);
        check("x", "", true);
    }
}
