//! Diagnosis of credit: it says which estimators can use the rollouts of an environment, without training.
//!
//! | measure | type | file |
//! |---|---|---|
//! | how well each turn's credit follows a reference from other rollouts | [`EstimatorReport::fidelity`] | `fidelity.rs` |
//! | the share of turns that matter | [`Diagnosis::decision_density`] | `density.rs` |
//! | the share of the weight that falls on solved and hopeless groups | [`WeightReport`] | `weight.rs` |
//! | signal to noise of the gradient, from sketches of scores | [`EstimatorReport::signal_to_noise`] | `noise.rs` |
//!
//! Estimators see random subgroups of a task's trajectories, as many as a group of training has. The
//! reference of a turn comes from the trajectories outside of the subgroup:
//!
//! ```text
//! reference_ij = success rate of others in the state after turn j - success rate of others in the state before
//! ```
//!
//! The state after the last turn has the trajectory's own success as its rate. Intervals hold 95 % and
//! resample tasks. The crate has no tensors and no files.

mod batches;
mod density;
mod diagnose;
mod fidelity;
mod noise;
mod notes;
mod over_tasks;
mod reference;
mod report;
mod states;
mod task;
mod weight;

pub use batches::{Batch, batches, beginning};
pub use diagnose::{Named, Settings, diagnose};
pub use noise::Sketches;
pub use report::{Diagnosis, EstimatorReport, ReferenceReport};
pub use states::States;
pub use task::Task;
pub use weight::{TurnWeight, WeightReport};
