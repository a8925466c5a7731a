//! Signal to noise of an estimator's gradient, from sketches of the turns' scores.

use std::collections::HashMap;

use turnwise_credit::ScoredGroup;
use turnwise_stats::Estimate;

use crate::over_tasks::estimate;

/// Holds a projection of the score `Σ_t ∇log π` of each turn of some trajectories.
///
/// Every estimator's gradient of a subgroup is a linear combination of them, `g = Σ_ij A_ij · score_ij`, up
/// to a constant that all subgroups share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sketches {
    /// `(task, trajectory)` to `[turn][entry]`. All entries of all turns are equally many.
    pub scores: HashMap<(usize, usize), Vec<Vec<f32>>>,
}

impl Sketches {
    /// Adds `Σ_j factors[j] · score_j` of a trajectory to `total`.
    fn add(&self, total: &mut Vec<f64>, task: usize, trajectory: usize, factors: &[f64]) {
        let Some(turns) = self.scores.get(&(task, trajectory)) else { return };
        for (score, factor) in turns.iter().zip(factors) {
            total.resize(score.len(), 0.0);
            total.iter_mut().zip(score).for_each(|(sum, entry)| *sum += factor * f64::from(*entry));
        }
    }
}

/// Adds up the gradients of each task's subgroups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradients {
    /// By task: the number of subgroups, the sum of their gradients, the sum of their squared norms.
    tasks: HashMap<usize, (f64, Vec<f64>, f64)>,
}

impl Gradients {
    /// Adds the gradient that an estimator gives a subgroup. Dropped trajectories have none.
    pub(crate) fn add(&mut self, sketches: &Sketches, task: usize, members: &[usize], scored: &ScoredGroup) {
        let mut gradient = Vec::new();
        for ((member, factors), dropped) in members.iter().zip(&scored.advantages).zip(&scored.dropped) {
            if dropped.is_none() {
                sketches.add(&mut gradient, task, *member, factors);
            }
        }
        self.push(task, &gradient);
    }

    /// Adds the gradient of the success rate of a subgroup, each trajectory against the mean of the others.
    pub(crate) fn add_success(
        &mut self,
        sketches: &Sketches,
        task: usize,
        members: &[usize],
        right: &[bool],
    ) {
        let of = |i: &usize| f64::from(u8::from(right[*i]));
        let total: f64 = members.iter().map(of).sum();
        let mut gradient = Vec::new();
        for i in members {
            let others = (total - of(i)) / (members.len() - 1) as f64;
            let turns = sketches.scores.get(&(task, *i)).map_or(0, Vec::len);
            sketches.add(&mut gradient, task, *i, &vec![of(i) - others; turns]);
        }
        self.push(task, &gradient);
    }

    fn push(&mut self, task: usize, gradient: &[f64]) {
        let (count, sum, squares) = self.tasks.entry(task).or_default();
        *count += 1.0;
        sum.resize(sum.len().max(gradient.len()), 0.0);
        sum.iter_mut().zip(gradient).for_each(|(sum, entry)| *sum += entry);
        *squares += gradient.iter().map(|entry| entry * entry).sum::<f64>();
    }

    /// Returns the mean gradient and the mean squared norm of each task, in the order of tasks.
    fn means(&self) -> Vec<(Vec<f64>, f64)> {
        let mut order: Vec<&usize> = self.tasks.keys().collect();
        order.sort_unstable();
        let mean = |task: &usize| {
            let (count, sum, squares) = &self.tasks[task];
            (sum.iter().map(|entry| entry / count).collect(), squares / count)
        };
        order.into_iter().map(mean).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Holds the inner products of the mean gradients of two sides, task by task.
struct Products(Vec<Vec<f64>>);

impl Products {
    fn of(a: &[(Vec<f64>, f64)], b: &[(Vec<f64>, f64)]) -> Self {
        Self(a.iter().map(|(a, _)| b.iter().map(|(b, _)| dot(a, b)).collect()).collect())
    }

    /// Returns the mean over pairs of different tasks: an unbiased estimate of the product of expectations.
    fn between(&self, counts: &[f64]) -> Option<f64> {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (a, row) in self.0.iter().enumerate() {
            for (b, product) in row.iter().enumerate().filter(|(b, _)| *b != a) {
                sum += counts[a] * counts[b] * product;
                pairs += counts[a] * counts[b];
            }
        }
        (pairs > 0.0).then(|| sum / pairs)
    }
}

/// Returns `‖E g‖² / E‖g - E g‖²` of the gradient of one subgroup of a random task; none of fewer than two
/// tasks.
///
/// Both are unbiased: the first is the mean product of gradients of different tasks, and the second the mean
/// squared norm less the first. The estimate may be negative where noise hides the signal.
pub(crate) fn signal_to_noise(gradients: &Gradients) -> Option<Estimate> {
    let tasks = gradients.means();
    let products = Products::of(&tasks, &tasks);
    estimate(tasks.len(), |counts| {
        let signal = products.between(counts)?;
        let all: f64 = counts.iter().sum();
        let squares = tasks.iter().zip(counts).map(|((_, square), count)| square * count).sum::<f64>() / all;
        (squares - signal > 0.0).then(|| signal / (squares - signal))
    })
}

/// Returns the cosine of the expected gradients of an estimator and of the success rate; none if one of the
/// two can't be told from noise.
pub(crate) fn alignment(gradients: &Gradients, success: &Gradients) -> Option<Estimate> {
    let (ours, theirs) = (gradients.means(), success.means());
    let [both, own, other] =
        [Products::of(&ours, &theirs), Products::of(&ours, &ours), Products::of(&theirs, &theirs)];
    estimate(ours.len(), |counts| {
        let (a, b) = (own.between(counts)?, other.between(counts)?);
        (a > 0.0 && b > 0.0).then(|| both.between(counts).map(|both| both / (a * b).sqrt()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random numbers of mean 0 and variance 1.
    fn numbers(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
            }
            sum - 6.0
        }
    }

    /// The gradient is μ plus an effect of the task and noise of the subgroup, in eight dimensions.
    fn drawn(seed: u64, mu: f64) -> Gradients {
        let mut number = numbers(seed);
        let mut gradients = Gradients::default();
        for task in 0..40 {
            let effect: Vec<f64> = (0..8).map(|_| 0.5 * number()).collect();
            for _ in 0..4 {
                let gradient: Vec<f64> = effect.iter().map(|e| mu + e + number()).collect();
                gradients.push(task, &gradient);
            }
        }
        gradients
    }

    #[test]
    fn the_estimate_is_that_of_the_population_on_average() {
        // ‖μ‖² = 8·0.09, the variance is 8·(1 + 0.25).
        let truth = 0.09 / 1.25;
        let found: Vec<f64> =
            (0..60).map(|seed| signal_to_noise(&drawn(seed, 0.3)).expect("two tasks").value).collect();
        let mean = found.iter().sum::<f64>() / 60.0;
        assert!((mean - truth).abs() < 0.01, "{mean} is not {truth}");
        let none: f64 =
            (0..60).map(|seed| signal_to_noise(&drawn(seed, 0.0)).unwrap().value).sum::<f64>() / 60.0;
        assert!(none.abs() < 0.003, "no signal: {none}");
        let inside = (0..60)
            .filter(|seed| {
                let interval = signal_to_noise(&drawn(*seed, 0.3)).unwrap().interval.unwrap();
                interval.low <= truth && truth <= interval.high
            })
            .count();
        assert!(inside >= 50, "{inside} of 60 intervals hold the truth");
    }

    #[test]
    fn a_gradient_is_aligned_with_itself_and_one_task_says_nothing() {
        let gradients = drawn(1, 1.0);
        let cosine = alignment(&gradients, &gradients).expect("a signal").value;
        assert!((cosine - 1.0).abs() < 1e-12, "{cosine}");
        let mut alone = Gradients::default();
        alone.push(0, &[1.0, 2.0]);
        assert_eq!(signal_to_noise(&alone), None);
        assert_eq!(signal_to_noise(&Gradients::default()), None);
    }
}
