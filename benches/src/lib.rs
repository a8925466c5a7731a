//! Workloads that several benches share, made from a seed: a measured number belongs to one input, always the
//! same.

pub mod cost;
pub mod numpy;
pub mod peer;
pub mod shapes;
pub mod tries;
pub mod workload;

use turnwise_credit::{Group, ScoredTrajectory};
use turnwise_trajectory::Rewards;

/// A small generator (SplitMix64, public domain): benches need variety, not statistics.
pub struct Sequence(pub u64);

impl Sequence {
    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// Python as a policy writes it in one turn, a few lines.
pub fn snippet(random: &mut Sequence) -> String {
    let (a, b) = (random.below(1000), random.below(1000));
    let name = ["total", "price", "count", "rest"][random.below(4) as usize];
    format!("{name} = {a} * {b}\nfor i in range({}):\n    {name} += i\nprint({name})\n", random.below(20))
}

/// `trajectories` in groups of 8, each of `turns` turns: about half correct, one turn in ten with a
/// violation.
pub fn groups(trajectories: usize, turns: usize) -> Vec<Group> {
    let mut random = Sequence(7);
    let mut trajectory = || {
        let correct = random.below(2) == 0;
        let mut rewards: Vec<Rewards> =
            (0..turns).map(|_| Rewards::new(0.0, if random.below(10) == 0 { -0.1 } else { 0.0 })).collect();
        rewards[turns - 1].set(Rewards::ACC, f64::from(u8::from(correct)));
        let code = (0..turns).map(|_| snippet(&mut random)).collect();
        ScoredTrajectory { turns: rewards, correct, code, ..ScoredTrajectory::default() }
    };
    (0..trajectories / 8)
        .map(|g| Group { group: format!("g{g}"), trajectories: (0..8).map(|_| trajectory()).collect() })
        .collect()
}

/// A row of tokens that every vocabulary here holds.
pub fn row(length: usize, random: &mut Sequence) -> Vec<u32> {
    (0..length).map(|_| random.below(320) as u32).collect()
}
