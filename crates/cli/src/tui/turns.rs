//! The newest step by turn: credit, calls, entropy, KL.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Stylize};
use ratatui::widgets::{Block, Row, Table};
use turnwise_run::{Metric, TurnMetrics};

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
    let turns = state.metrics.last().map_or(&[][..], |step| &step.by_turn);
    let rows = turns.iter().enumerate().map(|(index, turn)| row(index + 1, turn));
    let table = Table::new(rows, COLUMNS.map(|(_, width)| Constraint::Min(width)))
        .header(Row::new(COLUMNS.map(|(head, _)| head)).bold())
        .block(Block::bordered().title(" by turn ").border_style(Color::DarkGray));
    frame.render_widget(table, area);
}

fn row(number: usize, turn: &TurnMetrics) -> Row<'static> {
    let TurnMetrics { credit, calls, entropy, loss } = turn;
    let mean = |metric: Metric| metric.value().map_or("–".into(), |value| format!("{value:.3}"));
    Row::new([
        number.to_string(),
        credit.turns.to_string(),
        mean(credit.reward),
        mean(credit.returns),
        mean(credit.abs_advantage),
        calls.ok.to_string(),
        calls.failed().to_string(),
        mean(*entropy),
        mean(loss.unwrap_or_default().old_kl),
    ])
}
