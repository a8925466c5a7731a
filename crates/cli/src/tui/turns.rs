//! The newest step by turn: credit, calls, entropy, KL.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::widgets::{Block, Row, Table};
use serde_json::Value;

use super::state::State;

/// Headings of the columns, and their minimum widths.
const COLUMNS: [(&str, u16); 9] = [
    ("#", 2),
    ("turns", 5),
    ("reward", 6),
    ("return", 6),
    ("|adv|", 5),
    ("ok", 3),
    ("failed", 6),
    ("entropy", 7),
    ("KL", 6),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let turns = state.metrics.last().and_then(|line| line.get("by_turn")?.as_array());
    let rows = turns.into_iter().flatten().enumerate().map(|(index, turn)| row(index + 1, turn));
    let table = Table::new(rows, COLUMNS.map(|(_, width)| Constraint::Min(width)))
        .header(Row::new(COLUMNS.map(|(head, _)| head)).bold())
        .block(Block::bordered().title(" by turn ").border_style(Color::DarkGray));
    frame.render_widget(table, area);
}

fn row(number: usize, turn: &Value) -> Row<'static> {
    let (credit, calls) = (&turn["credit"], &turn["calls"]);
    let mean = |value: &Value| value.as_f64().map_or("–".into(), |value| format!("{value:.3}"));
    let count = |keys: &[&str]| keys.iter().filter_map(|key| calls[*key].as_u64()).sum::<u64>().to_string();
    Row::new([
        number.to_string(),
        credit["turns"].as_u64().unwrap_or_default().to_string(),
        mean(&credit["reward"]),
        mean(&credit["returns"]),
        mean(&credit["abs_advantage"]),
        count(&["ok"]),
        count(&["malformed", "error", "stopped"]),
        mean(&turn["entropy"]),
        mean(&turn["loss"]["old_kl"]),
    ])
}
