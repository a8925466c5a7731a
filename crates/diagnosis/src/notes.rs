//! Says in sentences what rollouts can't show, and what holds for all estimators.

use crate::report::Diagnosis;

/// Returns one sentence for each thing that a reader should know before the numbers.
///
/// - `subgroup`: the trajectories that a subgroup should have
/// - `busiest`: the largest number of trajectories that were in one state after the prompt
pub(crate) fn notes(found: &Diagnosis, subgroup: usize, busiest: usize) -> Vec<String> {
    let mut notes = Vec::new();
    let right = found.right.map_or(0.0, |right| right.value);
    if right == 0.0 || right == 1.0 {
        let all = if right == 0.0 { "No" } else { "Every" };
        notes.push(format!(
            "{all} trajectory is right: outcomes alone teach nothing here, under any estimator."
        ));
    }
    let least = found.reference.others;
    if found.subgroup < subgroup {
        notes.push(format!(
            "Subgroups have at most {} trajectories instead of {subgroup}: no task has more.",
            found.subgroup
        ));
    }
    let average = found.trajectories.checked_div(found.tasks).unwrap_or(0);
    if average < subgroup + least && found.reference.before_last == 0 {
        notes.push(format!(
            "No turn before the last has a reference: it needs {least} trajectories outside of a subgroup of \
             {subgroup}, so at least {} of a task, and here a task has {average} on average.",
            subgroup + least
        ));
    } else if found.reference.before_last == 0 {
        notes.push(format!(
            "No turn before the last has a reference: the busiest state after a prompt has {busiest} \
             trajectories, and {least} outside of a subgroup are needed. Coarser states or more rollouts may \
             help."
        ));
    }
    match found.shared_states.map(|shared| shared.value) {
        None => notes.push("No trajectory has a second turn, so every estimator credits trajectories.".into()),
        Some(0.0) => notes.push(
            "No state after the prompt is shared in a subgroup: turn_tree, gated_tree and gigpo have nothing \
             to compare."
                .into(),
        ),
        Some(_) => {}
    }
    if found.tasks < 2 {
        notes.push("One task has no intervals and no signal to noise.".into());
    }
    notes
}
