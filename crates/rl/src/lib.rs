//! Turn-level credit: from turn rewards to advantages, from advantages to token weights and losses.
//!
//! The default estimator is GTPO, Group **Turn** Policy Optimization (arXiv:2511.14846); see [`Gtpo`] for what
//! it is not. Everything up to the loss runs on the host in f64.
//!
//! ```text
//! turn rewards → shaping → returns → advantages per turn        Scorer
//!              → columns per token, weights per batch           Sample, WeightsConfig
//! ```

#[macro_use]
mod choice;

mod advantage;
mod diagnostics;
mod episode;
mod filter;
mod loss;
mod moments;
mod preset;
mod returns;
mod sample;
mod score;
mod shaping;
mod similarity;
mod weights;

pub use advantage::{
    AdvantageConfig, AdvantageEstimator, Credit, DrGrpo, Gigpo, Grpo, GrpoMin, Gtpo, MtGrpo, NormScope,
    ProcessGrpo, Rebn, ReinforcePp, Rloo, TurnTree,
};
pub use diagnostics::{
    OutcomeShares, TurnCalls, TurnCredit, calls_by_turn, credit_by_turn, entropy_by_turn,
    is_dummy_first_call, outcome_shares,
};
pub use episode::{Episode, PerTurn};
pub use filter::{Dropped, FilterConfig};
pub use loss::{
    Cispo, Clip, Gspo, KlEstimator, LossBatch, LossConfig, LossOutput, LossSums, PolicyLoss, RatioLevel,
    Terms, TokenStats,
};
pub use preset::Preset;
pub use returns::discounted_returns;
pub use sample::Sample;
pub use score::{ScoredGroup, Scorer};
pub use shaping::{ShapingConfig, code_of, normalised_code, shaped_rewards};
pub use similarity::{Endpoint, Lcs, Matrix, Ngram, Permuted, Similarity, SimilarityConfig, SimilarityError};
pub use weights::{Constant, Plain, WeightsConfig};
