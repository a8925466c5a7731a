//! Draws differences with their intervals, one a line, in the picture of estimates that reports have.

use turnwise_inspect::report::{Axis, Band, Forest, Panel};
use turnwise_stats::{Estimate, Interval};

use super::paired::Difference;

/// Returns a difference under a label, in percentage points.
pub(super) fn labelled(label: String, difference: &Difference) -> (String, Option<Estimate>) {
    let Interval { low, high } = difference.t;
    let interval = Some(Interval { low: 100.0 * low, high: 100.0 * high });
    (label, Some(Estimate { value: 100.0 * difference.points, interval }))
}

/// Draws panels of differences as an SVG.
pub(super) fn forest(title: &str, panels: Vec<Panel>, band: Option<Band>) -> String {
    let axis = Axis { title: "percentage points of held-out avg@8, 95 % t interval".into(), band };
    Forest { title: title.into(), panels, axis: Some(axis) }.svg()
}

/// Draws differences under their families and methods as an SVG.
pub(super) fn differences(title: &str, found: &[Difference]) -> String {
    let row =
        |difference: &Difference| labelled(format!("{}: {}", difference.family, difference.name), difference);
    forest(title, vec![Panel { title: String::new(), rows: found.iter().map(row).collect() }], None)
}
