//! Sums gradients over ranks at the owners of their parameters, and brings the owners' weights to all.
//!
//! MPI moves, and the sums are made here: over ranks in the binary tree of [`super::shards`], whose lower
//! levels each rank has summed already. The bytes don't depend on the number of ranks.

use std::collections::HashMap;
use std::ops::Range;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use turnwise_model::Transformer;
use turnwise_ranks::Ranks;

use crate::learn::slots::{Parameter, owner};

/// Values of parameters by their ids.
type Values = HashMap<ParamId, Vec<f32>>;

/// Most values in a message to all ranks, if a parameter isn't larger.
const BUCKET: usize = 8 << 20;

/// Returns the sums of the gradients of this rank's parameters over all ranks.
pub(crate) fn sum_at_owners(
    ranks: &dyn Ranks,
    parameters: &[Parameter],
    model: &Transformer,
    gradients: GradientsParams,
) -> GradientsParams {
    let mut mine = values_of(model, gradients);
    let present = parameters.iter().map(|parameter| u8::from(mine.contains_key(&parameter.id))).collect();
    // A rank without micro-batches has no gradient, which isn't one of zeros.
    let present = ranks.gather_all(present);
    let mut sums = Values::new();
    for bucket in buckets(parameters) {
        let of = |rank: usize| {
            let parameters = &parameters[bucket.clone()];
            bucket.clone().zip(parameters).filter(move |(_, p)| owner(p.slot, ranks.size()) == rank)
        };
        let sizes = |from: usize, to: usize| -> usize {
            of(to).filter(|(at, _)| present[from][*at] == 1).map(|(_, p)| p.size).sum()
        };
        let mut sent = Vec::new();
        for to in 0..ranks.size() {
            let values = of(to).filter_map(|(_, parameter)| mine.remove(&parameter.id));
            values.for_each(|values| sent.extend(values));
        }
        let counts: Vec<usize> = (0..ranks.size()).map(|to| sizes(ranks.rank(), to)).collect();
        let expected: Vec<usize> = (0..ranks.size()).map(|from| sizes(from, ranks.rank())).collect();
        let mut received = ranks.exchange(sent, &counts, &expected).into_iter();
        let mut leaves: HashMap<ParamId, Vec<Option<Vec<f32>>>> = HashMap::new();
        for present in &present {
            for (at, parameter) in of(ranks.rank()) {
                let leaf = (present[at] == 1).then(|| received.by_ref().take(parameter.size).collect());
                leaves.entry(parameter.id).or_default().push(leaf);
            }
        }
        sums.extend(leaves.into_iter().filter_map(|(id, leaves)| Some((id, tree(leaves)?))));
    }
    gradients_of(model, sums)
}

/// Brings the weights of parameters from their owners to all ranks.
pub(crate) fn share_weights(ranks: &dyn Ranks, parameters: &[Parameter], model: Transformer) -> Transformer {
    let is_mine = |parameter: &&Parameter| owner(parameter.slot, ranks.size()) == ranks.rank();
    let mut mine: HashMap<ParamId, Option<Vec<f32>>> =
        parameters.iter().filter(is_mine).map(|parameter| (parameter.id, None)).collect();
    model.visit(&mut Weights(&mut mine));
    let mut theirs = Values::new();
    for bucket in buckets(parameters) {
        let of = |rank: usize| {
            parameters[bucket.clone()].iter().filter(move |p| owner(p.slot, ranks.size()) == rank)
        };
        let sent = of(ranks.rank()).flat_map(|p| mine[&p.id].as_deref().expect("a parameter of the model"));
        let counts: Vec<usize> = (0..ranks.size()).map(|rank| of(rank).map(|p| p.size).sum()).collect();
        let mut all = ranks.share_out(sent.copied().collect(), &counts).into_iter();
        for rank in 0..ranks.size() {
            for parameter in of(rank) {
                let values = all.by_ref().take(parameter.size).collect();
                if rank != ranks.rank() {
                    theirs.insert(parameter.id, values);
                }
            }
        }
    }
    model.map(&mut Put(theirs))
}

/// Splits parameters into ranges of at most [`BUCKET`] values.
fn buckets(parameters: &[Parameter]) -> Vec<Range<usize>> {
    let mut buckets: Vec<Range<usize>> = Vec::new();
    let mut full = 0;
    for (at, parameter) in parameters.iter().enumerate() {
        match buckets.last_mut() {
            Some(bucket) if full + parameter.size <= BUCKET => bucket.end = at + 1,
            _ => {
                full = 0;
                buckets.push(at..at + 1);
            }
        }
        full += parameter.size;
    }
    buckets
}

/// Sums neighbours, then neighbours of their sums. A missing leaf adds nothing.
fn tree(mut leaves: Vec<Option<Vec<f32>>>) -> Option<Vec<f32>> {
    while leaves.len() > 1 {
        let mut pairs = leaves.into_iter();
        let mut sums = Vec::new();
        while let Some(left) = pairs.next() {
            sums.push(match (left, pairs.next().flatten()) {
                (Some(mut left), Some(right)) => {
                    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
                    Some(left)
                }
                (left, right) => left.or(right),
            });
        }
        leaves = sums;
    }
    leaves.pop().flatten()
}

/// Returns gradients as numbers.
fn values_of(model: &Transformer, gradients: GradientsParams) -> Values {
    struct Take(GradientsParams, Values);
    impl ModuleVisitor for Take {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.1.insert(param.id, numbers(gradient));
            }
        }
    }
    let mut take = Take(gradients, Values::new());
    model.visit(&mut take);
    take.1
}

/// Returns numbers as gradients.
fn gradients_of(model: &Transformer, values: Values) -> GradientsParams {
    struct Register(Values, GradientsParams, Device);
    impl ModuleVisitor for Register {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(values) = self.0.remove(&param.id) {
                let data = TensorData::new(values, param.val().shape());
                self.1.register(param.id, Tensor::<D>::from_data(data, &self.2));
            }
        }
    }
    let mut register = Register(values, GradientsParams::new(), model.device().without_autodiff());
    model.visit(&mut register);
    register.1
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("weights and their gradients are f32")
}

/// Reads the wanted weights.
struct Weights<'a>(&'a mut HashMap<ParamId, Option<Vec<f32>>>);

impl ModuleVisitor for Weights<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(wanted) = self.0.get_mut(&param.id) {
            let value = param.val();
            *wanted = Some(numbers(if value.device().is_autodiff() { value.inner() } else { value }));
        }
    }
}

/// Replaces weights.
struct Put(Values);

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.0.remove(&param.id) else { return param };
        param.map(|old| {
            let data = TensorData::new(values, old.shape());
            Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_leaves_add_nothing_to_the_tree() {
        let leaf = |value: f32| Some(vec![value]);
        let bits = |sum: Option<Vec<f32>>| sum.map(|sum| sum[0].to_bits());
        // In f32 the order shows: small numbers vanish beside a large one.
        let (large, small) = (1.0e8, 3.0);
        let whole = (large + small) + (small + small);
        let found = tree(vec![leaf(large), leaf(small), leaf(small), leaf(small)]);
        assert_eq!(bits(found), Some(f32::to_bits(whole)));
        assert_eq!(bits(tree(vec![leaf(-0.0), None, None, None])), Some((-0.0_f32).to_bits()));
        assert_eq!(bits(tree(vec![leaf(1.0), leaf(2.0), leaf(4.0), None])), Some(7.0_f32.to_bits()));
        assert_eq!(tree(vec![None, None]), None);
    }

    #[test]
    fn buckets_hold_every_parameter_once() {
        let parameter = |size| Parameter { id: ParamId::new(), size, slot: 0 };
        let sizes = [3, BUCKET, 1, BUCKET - 1, 2 * BUCKET, 5];
        let parameters: Vec<Parameter> = sizes.into_iter().map(parameter).collect();
        assert_eq!(buckets(&parameters), [0..1, 1..2, 2..4, 4..5, 5..6]);
        assert!(buckets(&[]).is_empty());
    }
}
