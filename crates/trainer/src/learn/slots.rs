//! Deals parameters to slots. A slot has an AdamW of its parameters and a file of their moments. Slots are
//! dealt to ranks in turn (ZeRO-1, arXiv:1910.02054 §4.1).
//!
//! There are as many slots as shards, so any number of ranks reads the checkpoints of any other.

use std::cmp::Reverse;
use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use turnwise_model::Transformer;

/// Names a parameter that an optimizer may train.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) id: ParamId,
    /// The number of its values.
    pub(crate) size: usize,
    /// The slot of its moments.
    pub(crate) slot: usize,
}

/// Deals the parameters of a model to slots, in the order in which the model visits them. With an adapter
/// only its parameters are dealt. Without one, those of `optimizer.freeze` are dealt too: it may change in a
/// resumed run, and every moment stays in its slot.
pub(crate) fn parameters(model: &Transformer, slots: usize, adapter: bool) -> Vec<Parameter> {
    struct Found(Vec<Parameter>, bool);
    impl ModuleVisitor for Found {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            if !self.1 || value.is_require_grad() {
                self.0.push(Parameter { id: param.id, size: value.shape().num_elements(), slot: 0 });
            }
        }
    }
    let mut found = Found(Vec::new(), adapter);
    model.visit(&mut found);
    let sizes: Vec<usize> = found.0.iter().map(|parameter| parameter.size).collect();
    let mut parameters = found.0;
    for (parameter, slot) in parameters.iter_mut().zip(deal(&sizes, slots)) {
        parameter.slot = slot;
    }
    parameters
}

/// Returns the slot of each size: the largest first, each to the slot with least so far.
fn deal(sizes: &[usize], slots: usize) -> Vec<usize> {
    let slots = slots.min(sizes.len()).max(1);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&at| (Reverse(sizes[at]), at));
    let (mut full, mut of) = (vec![0_usize; slots], vec![0; sizes.len()]);
    for at in order {
        let slot = (0..slots).min_by_key(|&slot| full[slot]).expect("there is a slot");
        full[slot] += sizes[at].max(1);
        of[at] = slot;
    }
    of
}

/// Returns the slots that have parameters.
pub(crate) fn used(parameters: &[Parameter]) -> Range<usize> {
    0..parameters.iter().map(|parameter| parameter.slot + 1).max().unwrap_or(0)
}

/// Returns the rank that has a slot.
pub(crate) fn owner(slot: usize, ranks: usize) -> usize {
    slot % ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_equally_full() {
        assert_eq!(deal(&[4, 1, 2, 3, 2], 2), [0, 1, 1, 1, 0], "6 each");
        assert_eq!(deal(&[5, 5, 5], 8), [0, 1, 2], "no more than parameters");
        assert_eq!(deal(&[5, 5, 5], 1), [0, 0, 0]);
        assert_eq!(deal(&[], 4), [0; 0]);
    }
}
