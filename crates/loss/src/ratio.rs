//! The importance ratio, per token, turn or sequence.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::{Bools, LossBatch};

/// Chooses the tokens over which the log-ratio is averaged before it is exponentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioLevel {
    /// Each token alone (PPO, GRPO).
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

    /// Sums token log-weights `[B, T]`, which are 0 where ignored, and gives each token the sum of its level.
    pub(super) fn sum(self, log_weight: Tensor<2>, batch: &LossBatch) -> Tensor<2> {
        match self {
            RatioLevel::Token => log_weight,
            RatioLevel::Turn => {
                let turns = turns(batch);
                sums(turns.clone(), log_weight).gather(1, turns)
            }
            RatioLevel::Sequence => {
                let [_, tokens] = log_weight.dims();
                log_weight.sum_dim(1).repeat_dim(1, tokens)
            }
        }
    }
}

fn per_turn(log_ratio: Tensor<2>, batch: &LossBatch, ignored: &Bools) -> Tensor<2> {
    let turns = turns(batch);
    let trained = ignored.clone().bool_not().float();
    let counts = sums(turns.clone(), trained).clamp_min(1.0);
    (sums(turns.clone(), log_ratio) / counts).gather(1, turns)
}

fn turns(batch: &LossBatch) -> Tensor<2, Int> {
    batch.turns.clone().expect("ratios and weights per turn need the batch's `turns`")
}

/// Sums a column over each turn, `[B, T]`: entry `j` belongs to turn `j`. A row of T tokens has at most T
/// turns, so T slots are always enough and nothing is read back.
fn sums(turns: Tensor<2, Int>, column: Tensor<2>) -> Tensor<2> {
    column.zeros_like().scatter(1, turns, column, IndexingUpdateOp::Add)
}
