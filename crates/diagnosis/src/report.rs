//! The results of a diagnosis, as tables and JSON show them.

use serde::Serialize;
use turnwise_stats::Estimate;

use crate::weight::WeightReport;

/// Holds what recorded rollouts say about a list of estimators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Number of tasks with at least two trajectories.
    pub tasks: usize,
    /// Number of their trajectories.
    pub trajectories: usize,
    /// Number of their turns.
    pub turns: usize,
    /// The share of right trajectories.
    pub right: Option<Estimate>,
    /// Number of trajectories in the smallest subgroup.
    pub smallest_subgroup: usize,
    /// Number of trajectories in the largest subgroup.
    pub subgroup: usize,
    /// Number of subgroups, over all draws.
    pub subgroups: usize,
    /// The name of the equality of states.
    pub states: &'static str,
    /// The share of subgroups whose trajectories are all right.
    pub solved: Option<Estimate>,
    /// The share of subgroups whose trajectories are all wrong.
    pub hopeless: Option<Estimate>,
    /// The share of later turns whose state another trajectory of the subgroup was in. None if no trajectory
    /// has a second turn.
    pub shared_states: Option<Estimate>,
    /// How many turns have a reference.
    pub reference: ReferenceReport,
    /// The share of turns that matter, among those with a reference.
    pub decision_density: Option<Estimate>,
    /// Number of trajectories whose gradients were taken; 0 without a model.
    pub sketched: usize,
    /// The estimators, in the order asked for.
    pub estimators: Vec<EstimatorReport>,
    /// Limits of the rollouts, and findings about all estimators. One sentence each.
    pub notes: Vec<String>,
}

/// Counts the turns of subgroups with a reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReferenceReport {
    /// Fewest trajectories outside of the subgroup in a state with a success rate.
    pub others: usize,
    /// Turns of subgroups, over all draws.
    pub turns: usize,
    /// Those with a reference.
    pub with_reference: usize,
    /// Those with a reference that aren't the last of their trajectory.
    pub before_last: usize,
}

/// Holds what the rollouts say about one estimator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EstimatorReport {
    /// The name that was asked for, with settings.
    pub name: String,
    /// The estimator.
    pub estimator: String,
    /// The set over which it normalises.
    pub norm_scope: String,
    /// Correlation of each turn's credit with its reference; none without references.
    pub fidelity: Option<Estimate>,
    /// The same without the last turn of each trajectory, whose reference is the trajectory's own success.
    pub fidelity_before_last: Option<Estimate>,
    /// The same by turn index, first turn first.
    pub fidelity_by_turn: Vec<Option<Estimate>>,
    /// Shares of its weight.
    pub weight: WeightReport,
    /// `‖E g‖² / E‖g - E g‖²` of the gradient of a subgroup; none without a model.
    pub signal_to_noise: Option<Estimate>,
    /// Cosine of its expected gradient with that of the success rate.
    pub alignment: Option<Estimate>,
}
