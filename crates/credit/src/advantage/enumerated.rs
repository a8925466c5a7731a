//! A small tree of decisions whose groups can be enumerated, so that expectations are sums.

use crate::episode::{Episode, PerTurn};

/// Number of parameters of the policy: one logit per state.
pub(super) const PARAMETERS: usize = 4;

/// Holds one number per parameter.
pub(super) type Gradient = [f64; PARAMETERS];

/// Holds one trajectory of the tree: its probability, its episode, and `∇log π` of each turn.
pub(super) struct Path {
    pub(super) probability: f64,
    pub(super) right: bool,
    pub(super) violations: Vec<bool>,
    pub(super) states: Vec<String>,
    pub(super) calls: Vec<String>,
    pub(super) scores: Vec<Gradient>,
}

impl Path {
    pub(super) fn episode(&self) -> Episode<'_> {
        let right = f64::from(u8::from(self.right));
        let turns = self.scores.len();
        let rewards = (1..=turns).map(|turn| if turn == turns { right } else { 0.0 }).collect();
        Episode {
            rewards,
            formats: vec![0.0; turns],
            violations: self.violations.clone(),
            outcome: right,
            right: self.right,
            states: &self.states,
            calls: &self.calls,
        }
    }

    fn gated(&self) -> f64 {
        f64::from(u8::from(self.right && !self.violations.contains(&true)))
    }
}

/// Probabilities of the first action at each of the four states.
const FIRST: [f64; PARAMETERS] = [0.6, 0.3, 0.45, 0.2];

/// Returns the five trajectories. With `aliased` the two branches of the first turn have the same calls and
/// observations, though not the same prospects.
pub(super) fn paths(aliased: bool) -> Vec<Path> {
    let path = |right: bool, turns: &[(usize, bool, bool)]| {
        let score = |&(state, first, _): &(usize, bool, bool)| {
            let mut score = [0.0; PARAMETERS];
            score[state] = if first { 1.0 - FIRST[state] } else { -FIRST[state] };
            score
        };
        let chance = |&(state, first, _): &(usize, bool, bool)| {
            if first { FIRST[state] } else { 1.0 - FIRST[state] }
        };
        let call = |&(state, first, _): &(usize, bool, bool)| {
            if aliased && state == 0 { "same".into() } else { format!("{state}{first}") }
        };
        let states = std::iter::once(String::new()).chain(turns.iter().map(call)).take(turns.len());
        Path {
            probability: turns.iter().map(chance).product(),
            right,
            violations: turns.iter().map(|turn| turn.2).collect(),
            states: states.collect(),
            calls: turns.iter().map(call).collect(),
            scores: turns.iter().map(score).collect(),
        }
    };
    vec![
        path(true, &[(0, true, false), (1, true, false)]),
        path(true, &[(0, true, false), (1, false, false), (2, true, false)]),
        path(true, &[(0, true, false), (1, false, false), (2, false, true)]),
        path(true, &[(0, false, false), (3, true, false)]),
        path(false, &[(0, false, false), (3, false, false)]),
    ]
}

/// Returns `∇E[g]` of the gated reward, `Σ P(τ) g(τ) Σ_j ∇log π`.
pub(super) fn exact(paths: &[Path]) -> Gradient {
    let mut total = [0.0; PARAMETERS];
    for path in paths {
        for score in &path.scores {
            add(&mut total, path.probability * path.gated(), score);
        }
    }
    total
}

/// Returns the expectation of `Σ_ij A_ij ∇log π_ij / size` over all groups of `size` trajectories.
pub(super) fn expected(paths: &[Path], size: usize, credit: impl Fn(&[Episode]) -> PerTurn) -> Gradient {
    let mut total = [0.0; PARAMETERS];
    for group in groups(paths.len(), size) {
        let chance: f64 = group.iter().map(|at| paths[*at].probability).product();
        let episodes: Vec<Episode> = group.iter().map(|at| paths[*at].episode()).collect();
        let credit = credit(&episodes);
        add_group(&mut total, chance / size as f64, paths, &group, &credit);
    }
    total
}

/// Returns every group of `size` trajectories, in order.
pub(super) fn groups(trajectories: usize, size: usize) -> Vec<Vec<usize>> {
    (0..size).fold(vec![Vec::new()], |groups, _| {
        let longer = |group: &Vec<usize>| {
            let group = group.clone();
            (0..trajectories).map(move |at| [group.clone(), vec![at]].concat())
        };
        groups.iter().flat_map(longer).collect()
    })
}

/// Adds the gradient of a group.
pub(super) fn add_group(
    total: &mut Gradient,
    factor: f64,
    paths: &[Path],
    group: &[usize],
    credit: &PerTurn,
) {
    for (at, turns) in group.iter().zip(credit) {
        for (score, value) in paths[*at].scores.iter().zip(turns) {
            add(total, factor * value, score);
        }
    }
}

fn add(total: &mut Gradient, factor: f64, score: &Gradient) {
    for (sum, entry) in total.iter_mut().zip(score) {
        *sum += factor * entry;
    }
}

/// Returns the largest difference of two gradients.
pub(super) fn apart(a: &Gradient, b: &Gradient) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
