//! Turn-level credit: from the rewards of turns to one weight per token. No tensors, no network.
//!
//! The default estimator is GTPO, Group **Turn** Policy Optimization (arXiv:2511.14846), in
//! [`advantage/gtpo.rs`](Gtpo):
//!
//! ```text
//! r_ij = Σ_n w_n · r_ij,n               rewards of a turn by name: acc, fmt, …    reward_weights.rs
//! R_ij = Σ_{k=j..T_i} γ^(k-j) · r_ik    returns, γ per turn                       returns.rs
//! A_ij = (R_ij - μ) / (σ + ε)           μ and σ over all turns of the group       advantage/gtpo.rs
//! ```
//!
//! `i` counts the trajectories of a group (one task, `G` samples) and `j` their turns. Every sampled token of
//! turn `j` gets `A_ij`.
//!
//! ```
//! use turnwise_credit::{AdvantageConfig, FilterConfig, Group, Scorer, ShapingConfig};
//!
//! let group: Group = serde_json::from_str(
//!     r#"{"group":"37-3","trajectories":[
//!         {"turns":[{"acc":0,"fmt":0},{"acc":1,"fmt":0}],"correct":true,"code":"print(37-3)"},
//!         {"turns":[{"acc":0,"fmt":-0.1},{"acc":0,"fmt":0}],"code":"print(37-2)"}]}"#,
//! )?;
//! let scorer = Scorer::new(AdvantageConfig::default(), ShapingConfig::default(), FilterConfig::default());
//! let scored = scorer.score(&[group], 0)?;
//! assert!(scored[0].advantages[0][1] > scored[0].advantages[1][0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | stage | type | file |
//! |---|---|---|
//! | rewards of a turn, by name | [`ScoredTrajectory`], [`RewardWeights`] | `scored.rs`, `reward_weights.rs` |
//! | normalisation of rewards by name | [`Normalise`] | `normalise.rs` |
//! | partial credit for failures | [`ShapingConfig`] | `shaping.rs` |
//! | returns and advantages | [`AdvantageEstimator`] | `advantage/`, one file each |
//! | what is kept out of the loss | [`FilterConfig`] | `filter.rs` |
//! | all of the above | [`Scorer`] | `score.rs` |
//! | which groups teach nothing | [`NoSignal`] | `signal.rs` |
//! | columns per token | [`Sample`] | `sample.rs` |
//! | normalisation of the loss | [`WeightsConfig`] | `weights.rs` |
//!
//! The losses themselves are in `turnwise-loss`. Everything here is f64 on the host.
//!
//! # What this isn't
//! - Credit per token. An estimator gives one advantage to a turn ([`Credit`]), since a turn is the action.
//!   Methods that weigh tokens within a turn, such as Group *Token* Policy Optimization (arXiv:2508.04349),
//!   don't fit.
//! - A critic. An [`Episode`] holds rewards and states and no model, so there is no GAE and no learned value.
//! - Rewards. An environment gives them; this crate adds them up.

mod advantage;
mod correct;
mod diagnostics;
mod episode;
mod filter;
mod kl;
mod moments;
mod named;
mod normalise;
mod preset;
mod returns;
mod reward_weights;
mod sample;
mod score;
mod scored;
mod shaping;
mod signal;
mod tree;
mod weights;

pub use advantage::*;
pub use correct::is_right;
pub use diagnostics::{
    OutcomeShares, TurnCalls, TurnCredit, calls_by_turn, credit_by_turn, entropy_by_turn,
    is_dummy_first_call, outcome_shares,
};
pub use episode::{Episode, PerTurn};
pub use filter::{Dropped, FilterConfig, Masked};
pub use kl::KlEstimator;
pub use named::{NamedReward, absent_names, is_graded, rewards_by_name};
pub use normalise::Normalise;
pub use preset::{PRESETS, Preset};
pub use returns::discounted_returns;
pub use reward_weights::RewardWeights;
pub use sample::Sample;
pub use score::{ScoredGroup, Scorer};
pub use scored::{Group, ScoredTrajectory};
pub use shaping::{ShapingConfig, shaped_accuracies};
pub use signal::NoSignal;
pub use weights::{Constant, Plain, WeightsConfig};
