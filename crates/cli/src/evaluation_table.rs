//! Evaluations side by side, for a reader.

use std::io::Write;

use turnwise_trainer::Evaluation;

/// Writes a table to stderr: one column per evaluation.
pub(crate) fn write(columns: &[(&str, &Evaluation)]) {
    // Nobody reads a table on a closed stderr.
    let _ = std::io::stderr().write_all(table(columns).as_bytes());
}

fn table(columns: &[(&str, &Evaluation)]) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let row = |name: &str, value: &dyn Fn(&Evaluation) -> String| {
        let values: Vec<String> = columns.iter().map(|(_, e)| format!("{:>12}", value(e))).collect();
        format!("{name:<24}{}\n", values.concat())
    };
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("{name:>12}")).collect();
    let mut text = format!("{:<24}{}\n", "", names.concat());
    text += &row("held-out accuracy", &|e| percent(e.accuracy));
    text += &row("tool calls that succeed", &|e| percent(e.tool_success));
    text += &row("format violations", &|e| percent(e.violations));
    text += &row("turns", &|e| format!("{:.2}", e.turns));
    text += &row("trajectories", &|e| e.trajectories.to_string());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluations_stand_side_by_side() {
        let before = Evaluation { accuracy: 0.25, turns: 3.0, trajectories: 256, ..Evaluation::default() };
        let after = Evaluation { accuracy: 0.75, tool_success: 1.0, ..before.clone() };
        let text = table(&[("before", &before), ("after", &after)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "                              before       after");
        assert_eq!(lines[1], "held-out accuracy             25.0 %      75.0 %");
        assert_eq!(lines[4], "turns                           3.00        3.00");
    }
}
