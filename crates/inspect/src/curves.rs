//! Registers the curves over steps that reports and the page draw.

use turnwise_run::{Metric, StepMetrics};

/// Describes a curve.
pub(crate) struct Curve {
    /// Name on the page. With hyphens it names the report's picture.
    pub(crate) name: &'static str,
    /// Title in a report; none if only the page draws it.
    pub(crate) title: Option<&'static str>,
    /// Whether a report draws it in percent.
    pub(crate) percent: bool,
    /// Its value at a step.
    pub(crate) metric: fn(&StepMetrics) -> Metric,
}

/// Lists the curves in their order. Rewards by name follow them.
pub(crate) const CURVES: [Curve; 19] = [
    percent("accuracy", "Share of right answers", |m| m.accuracy),
    curve("reward", "Reward per trajectory", |m| m.reward),
    curve("turns", "Turns per trajectory", |m| m.turns),
    percent("tool success", "Share of calls that succeed", |m| m.tool_success),
    curve("violations", "Share of turns that break the format", |m| m.violations),
    curve("truncated", "Share of trajectories cut off", |m| m.truncated),
    curve("sampled tokens", "Sampled tokens per trajectory", |m| m.sampled_tokens),
    curve("entropy", "Entropy estimate (nats per token)", |m| m.entropy),
    curve("router aux loss", "Load-balancing loss of the experts", |m| m.router_aux_loss),
    curve("grad norm", "Gradient norm", |m| m.grad_norm),
    on_page("ratio", |m| m.ratio),
    curve("logprob gap", "Largest gap between sampler and trainer (nats)", |m| m.logprob_gap),
    curve("dropped", "Share of trajectories left out of the loss", |m| m.dropped),
    on_page("groups all right", |m| m.groups_all_right),
    on_page("groups all wrong", |m| m.groups_all_wrong),
    percent("prefix kept", "Share of calls that keep the sampled tokens", |m| m.prefix_kept),
    curve("sequences", "Sequences of all trajectories", |m| count(m.sequences.map(|s| s.count))),
    on_page("sequences diverged", |m| count(m.sequences.map(|s| s.diverged))),
    on_page("sequences masked", |m| count(m.sequences.map(|s| s.masked_cut + s.masked_diverged))),
];

const fn curve(name: &'static str, title: &'static str, metric: fn(&StepMetrics) -> Metric) -> Curve {
    Curve { name, title: Some(title), percent: false, metric }
}

const fn percent(name: &'static str, title: &'static str, metric: fn(&StepMetrics) -> Metric) -> Curve {
    Curve { percent: true, ..curve(name, title, metric) }
}

const fn on_page(name: &'static str, metric: fn(&StepMetrics) -> Metric) -> Curve {
    Curve { name, title: None, percent: false, metric }
}

fn count(count: Option<usize>) -> Metric {
    count.map_or_else(Metric::default, |count| (count as f64).into())
}

/// Returns the mean of a named reward at a step.
pub(crate) fn reward(step: &StepMetrics, name: &str) -> Metric {
    step.rewards.get(name).map_or_else(Metric::default, |reward| reward.mean)
}

/// Returns a curve's points: the steps that have a value.
pub(crate) fn points(metrics: &[StepMetrics], metric: impl Fn(&StepMetrics) -> Metric) -> Vec<(f64, f64)> {
    metrics.iter().filter_map(|step| Some((step.step as f64, metric(step).value()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_curves_share_a_name_or_a_title() {
        let names: BTreeSet<&str> = CURVES.iter().map(|curve| curve.name).collect();
        let titles: Vec<&str> = CURVES.iter().filter_map(|curve| curve.title).collect();
        assert_eq!(names.len(), CURVES.len());
        assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len());
    }
}
