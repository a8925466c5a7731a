//! Four small curves over steps.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType};

use turnwise_run::{Metric, StepMetrics};

use super::state::State;

/// Describes a curve: its metric, its colour, and whether it is drawn as single points.
type Curve = (fn(&StepMetrics) -> Metric, Color, GraphType);

/// Describes a chart: its title, the factor of its values, and its curves.
type Panel = (&'static str, f64, &'static [Curve]);

const PANELS: [Panel; 4] = [
    (
        "right answers, %; held out ●",
        100.0,
        &[
            (|m| m.accuracy, Color::Cyan, GraphType::Line),
            (|m| m.held_out_accuracy, Color::Yellow, GraphType::Scatter),
        ],
    ),
    ("reward", 1.0, &[(|m| m.reward, Color::Cyan, GraphType::Line)]),
    ("entropy, nats per token", 1.0, &[(|m| m.entropy, Color::Cyan, GraphType::Line)]),
    (
        "KL, nats per token: to the sampler, to the reference",
        1.0,
        &[(|m| m.old_kl, Color::Cyan, GraphType::Line), (|m| m.ref_kl, Color::Magenta, GraphType::Line)],
    ),
];

/// Draws two rows of two charts.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let rows: [Rect; 2] = Layout::vertical([Constraint::Fill(1); 2]).areas(area);
    let halves = rows.iter().flat_map(|row| Layout::horizontal([Constraint::Fill(1); 2]).areas::<2>(*row));
    for (place, panel) in halves.zip(PANELS) {
        one(frame, place, state, panel);
    }
}

fn one(frame: &mut Frame<'_>, area: Rect, state: &State, (title, scale, curves): Panel) {
    let scaled = |metric: fn(&StepMetrics) -> Metric| -> Vec<(f64, f64)> {
        state.points(metric).into_iter().map(|(step, value)| (step, scale * value)).collect()
    };
    let lines: Vec<Vec<(f64, f64)>> = curves.iter().map(|(metric, ..)| scaled(*metric)).collect();
    let (steps, values) = bounds(&lines);
    let datasets = curves.iter().zip(&lines).map(|((_, colour, kind), points)| {
        let marker = if *kind == GraphType::Scatter { Marker::Dot } else { Marker::Braille };
        Dataset::default().marker(marker).graph_type(*kind).style(*colour).data(points)
    });
    let axis = |bounds: [f64; 2]| Axis::default().bounds(bounds).style(Color::DarkGray);
    let chart = Chart::new(datasets.collect())
        .block(Block::bordered().title(format!(" {title} ")).border_style(Color::DarkGray))
        .x_axis(axis(steps).labels(steps.map(|step| format!("{step:.0}"))))
        .y_axis(axis(values).labels(values.map(label)));
    frame.render_widget(chart, area);
}

/// Returns the ranges of steps and of values, never empty.
fn bounds(lines: &[Vec<(f64, f64)>]) -> ([f64; 2], [f64; 2]) {
    let of = |values: Vec<f64>, least: f64| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > high { [0.0, least] } else { [low, high.max(low + least)] }
    };
    let all = || lines.iter().flatten();
    (of(all().map(|point| point.0).collect(), 1.0), of(all().map(|point| point.1).collect(), 1e-3))
}

/// Formats a number in few characters.
fn label(value: f64) -> String {
    match value.abs() {
        size if size >= 10.0 => format!("{value:.0}"),
        size if size >= 0.01 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_all_points_and_are_never_empty() {
        assert_eq!(bounds(&[vec![]]), ([0.0, 1.0], [0.0, 1e-3]));
        assert_eq!(bounds(&[vec![(1.0, 2.0)]]), ([1.0, 2.0], [2.0, 2.001]));
        assert_eq!(bounds(&[vec![(1.0, 2.0), (3.0, -1.0)], vec![(2.0, 5.0)]]), ([1.0, 3.0], [-1.0, 5.0]));
        assert_eq!([52.6, 0.25, 0.0, -0.000_12].map(label), ["53", "0.25", "0.00", "-1e-4"]);
    }
}
