//! The load-balancing loss of mixtures of experts (arXiv:2101.03961 eq. 4–6): `E·Σ f·P` over experts, with
//! the part `f` of the tokens that each gets and its mean probability `P`.
//!
//! Layers count together, as in `transformers`. Each sequence has a separate loss, so that the split into
//! micro-batches doesn't change it.

use burn::tensor::activation::softmax;
use burn::tensor::{DType, Tensor, TensorData};

use crate::batch::TokenBatch;

/// Holds the decisions of one router in a pass.
pub(crate) struct Routed {
    /// Scores with their graph, `[N, E]`.
    pub(crate) scores: Tensor<2>,
    /// Experts of each token, `[N, k]`.
    pub(crate) chosen: Vec<i32>,
}

/// Holds the slopes of the loss in the probabilities of every router, `[N, E]`, and the loss; none without
/// routers.
pub(crate) struct Balance(Option<(Tensor<2>, f64)>);

impl Balance {
    /// Counts the tokens of experts, which have no slopes.
    ///
    /// - `routed`: the decisions of all layers
    /// - `by`: the factor of each sequence's loss
    pub(crate) fn new(routed: &[Routed], batch: &TokenBatch, packed: bool, by: f64) -> Self {
        let Some(first) = routed.first() else { return Self(None) };
        let [tokens, experts] = first.scores.dims();
        let chosen = first.chosen.len() / tokens;
        let mut slopes = vec![0.0; tokens * experts];
        for (start, &length) in batch.starts(packed).into_iter().zip(&batch.lengths) {
            let mut counts = vec![0_u32; experts];
            for routed in routed {
                for &expert in &routed.chosen[start * chosen..(start + length) * chosen] {
                    counts[expert as usize] += 1;
                }
            }
            let all = (length * routed.len()) as f64;
            let slope = |count: &u32| (by * experts as f64 * f64::from(*count) / (all * all)) as f32;
            let of_sequence: Vec<f32> = counts.iter().map(slope).collect();
            for row in slopes[start * experts..][..length * experts].chunks_exact_mut(experts) {
                row.copy_from_slice(&of_sequence);
            }
        }
        let value = routed.iter().map(|routed| sum_of_products(&routed.scores, &slopes)).sum();
        let device = first.scores.device().without_autodiff();
        let slopes = TensorData::new(slopes, [tokens, experts]);
        Self(Some((Tensor::from_data(slopes, (&device, DType::F32)), value)))
    }

    /// Returns the loss of all sequences, times their factor; none without routers.
    pub(crate) fn value(&self) -> Option<f64> {
        self.0.as_ref().map(|(_, value)| *value)
    }

    /// Returns the share of some routers in the loss, in their graph.
    pub(crate) fn loss(&self, routed: Vec<Routed>) -> Option<Tensor<1>> {
        let (slopes, _) = self.0.as_ref()?;
        let share = |routed: Routed| (softmax(routed.scores, 1) * Tensor::from_inner(slopes.clone())).sum();
        routed.into_iter().map(share).reduce(|sum, share| sum + share)
    }
}

/// Returns the sum of a router's probabilities times their slopes.
fn sum_of_products(scores: &Tensor<2>, slopes: &[f32]) -> f64 {
    let [_, experts] = scores.dims();
    let scores: Vec<f32> = scores.clone().into_data().try_into_vec().expect("the router computes in f32");
    let rows = scores.chunks_exact(experts).zip(slopes.chunks_exact(experts));
    // Padding has no slopes.
    let rows = rows.filter(|(_, slopes)| slopes.iter().any(|slope| *slope != 0.0));
    let of_row = |(scores, slopes): (&[f32], &[f32])| {
        let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps = scores.iter().map(|score| f64::from(score - most).exp());
        let (sum, products) = exps.zip(slopes).fold((0.0, 0.0), |(sum, products), (exp, slope)| {
            (sum + exp, products + exp * f64::from(*slope))
        });
        products / sum
    };
    rows.map(of_row).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Device;
    use safetensors::SafeTensors;

    use super::*;
    use crate::io::checkpoint::load;

    #[test]
    fn it_is_the_loss_of_transformers_on_each_row() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/model");
        for family in ["qwen3_moe", "qwen3_moe-window"] {
            let folder = golden.join(family);
            let bytes = std::fs::read(folder.join("expected.safetensors")).expect("a golden file");
            let file = SafeTensors::deserialize(&bytes).expect("safetensors");
            let ids = file.tensor("ids").expect("golden ids");
            let ids = ids.data().chunks_exact(8).map(|b| u32::from(b[0]));
            let ids: Vec<u32> = ids.collect();
            let losses = file.tensor("balance").expect("golden losses");
            let losses = losses.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            let losses: Vec<f32> = losses.collect();
            let model = load(&folder, &Device::default().autodiff()).expect("a golden model").balancing(0.5);
            let of = |rows: &[&[u32]]| -> f32 {
                let batch = TokenBatch::new(rows);
                let pass = model.whole(&batch);
                let _ = model.hidden_in(&pass, &batch);
                let routed = pass.take_routed();
                let balance = Balance::new(&routed, &batch, model.packs(&batch), 0.5);
                let value = balance.value().expect("the model has routers");
                let loss: f32 = balance.loss(routed).expect("the model has routers").inner().into_scalar();
                assert!((value - f64::from(loss)).abs() < 1e-6, "{family}: {value} of a graph's {loss}");
                loss
            };
            let rows: Vec<&[u32]> = ids.chunks(ids.len() / losses.len()).collect();
            for (row, loss) in rows.iter().zip(&losses) {
                let found = 2.0 * of(&[row]);
                assert!((found - loss).abs() < 1e-5, "{family}: {found}, not {loss}");
            }
            let (together, sum) = (2.0 * of(&rows), losses.iter().sum::<f32>());
            assert!((together - sum).abs() < 1e-5, "{family}: {together}, not {sum}");
        }
    }
}
