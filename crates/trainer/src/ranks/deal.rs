//! Which rank plays which group.

use std::collections::HashMap;

/// Returns the rank of each group. `tasks`: the ids of their tasks.
///
/// Groups are dealt one by one. Those of one task are together: how often a play has had it decides its
/// random streams.
pub(crate) fn deal<'t>(tasks: impl IntoIterator<Item = &'t str>, ranks: usize) -> Vec<usize> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    tasks.into_iter().enumerate().map(|(place, task)| *first.entry(task).or_insert(place % ranks)).collect()
}

/// Returns the first place of each task, to order by.
pub(crate) fn places<'t>(tasks: impl IntoIterator<Item = &'t str>) -> HashMap<&'t str, usize> {
    let mut first = HashMap::new();
    for (place, task) in tasks.into_iter().enumerate() {
        first.entry(task).or_insert(place);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_one_task_are_on_one_rank() {
        assert_eq!(deal(["a", "b", "c", "d", "e"], 2), [0, 1, 0, 1, 0]);
        assert_eq!(deal(["a", "a", "b", "a"], 2), [0, 0, 0, 0]);
        assert_eq!(deal(["a", "b", "a", "b"], 4), [0, 1, 0, 1]);
        assert_eq!(deal(["a", "b"], 1), [0, 0]);
        assert_eq!(places(["a", "b", "a"])["a"], 0);
    }
}
