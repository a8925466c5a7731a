//! Compares the openings that two resets of one task give.

use serde_json::json;

use crate::tasks::Task;

/// Characters of each side of a difference.
const SHOWN: usize = 80;

/// Returns what a reset says, as JSON.
pub(crate) fn opening(task: &Task) -> String {
    json!({"task": task.id, "level": task.level, "messages": task.messages}).to_string()
}

/// Returns two texts from shortly before their first difference on.
pub(crate) fn around(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let shown = |text: &str| text.chars().skip(same.saturating_sub(SHOWN / 4)).take(SHOWN).collect();
    (shown(a), shown(b))
}

/// Checks that a further reset of a task gives the same opening. `name` is the task's name in the error.
///
/// # Errors
/// The difference, with a hint.
pub(crate) fn same_opening(name: &str, known: &Task, again: &Task) -> Result<(), String> {
    if known == again {
        return Ok(());
    }
    let (a, b) = around(&opening(known), &opening(again));
    let hint = "equal seeds must give equal tasks, at every reset and in every process";
    Err(format!("two resets of {name} give two tasks: {a:?}, and again {b:?}\n  hint: {hint}"))
}
