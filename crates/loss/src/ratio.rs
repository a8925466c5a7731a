//! The importance ratio, per token, turn or sequence.

use burn::tensor::{IndexingUpdateOp, Tensor};
use serde::{Deserialize, Serialize};

use super::{Bools, LossBatch};

/// Chooses the tokens over which the log-ratio is averaged before it is exponentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioLevel {
    /// None: each token has its ratio (PPO, GRPO).
    Token,
    /// The trained tokens of a turn: the turn is the action, as in arXiv:2511.14846.
    Turn,
    /// The trained tokens of a sequence (GSPO, arXiv:2507.18071 eq. 7).
    Sequence,
}

impl RatioLevel {
    /// Averages token log-ratios `[B, T]`, which are 0 where `ignored`, and gives each token the mean of its
    /// level.
    pub(super) fn average(self, log_ratio: Tensor<2>, batch: &LossBatch, ignored: &Bools) -> Tensor<2> {
        match self {
            RatioLevel::Token => log_ratio,
            RatioLevel::Turn => per_turn(log_ratio, batch, ignored),
            RatioLevel::Sequence => {
                let trained = ignored.clone().bool_not().float();
                let count = trained.sum_dim(1).clamp_min(1.0);
                let [_, tokens] = log_ratio.dims();
                (log_ratio.sum_dim(1) / count).repeat_dim(1, tokens)
            }
        }
    }
}

fn per_turn(log_ratio: Tensor<2>, batch: &LossBatch, ignored: &Bools) -> Tensor<2> {
    let turns = batch.turns.clone().expect("ratios per turn need the batch's `turns`");
    // A row of T tokens has at most T turns, so T slots are always enough and nothing is read back.
    let slots = log_ratio.zeros_like();
    let trained = ignored.clone().bool_not().float();
    let sums = slots.clone().scatter(1, turns.clone(), log_ratio, IndexingUpdateOp::Add);
    let counts = slots.scatter(1, turns.clone(), trained, IndexingUpdateOp::Add).clamp_min(1.0);
    (sums / counts).gather(1, turns)
}
