//! Tries of a piece of work by one program: repeated while other processes disturb them.

use std::time::Instant;

use crate::cost::{Cost, busy_time, median};
use crate::peer::Peer;

/// Cores that others may keep busy during a try that counts.
const CALM: f64 = 0.15;
/// Number of tries at most, before a program's turn ends.
const MOST: usize = 3;
/// Seconds that a try takes at least: clocks here tick every 10 ms.
const LEAST: f64 = 1.0;

/// Mean cost of the work, done for a second or once.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Try {
    cost: Cost,
    /// Cores that other processes, and the host of a virtual machine, took meanwhile.
    others: f64,
}

impl Try {
    fn is_calm(&self) -> bool {
        self.others <= CALM
    }
}

/// The tries of one program.
#[derive(Debug, Default)]
pub struct Tries(Vec<Try>);

impl Tries {
    /// Lets a program do the work until a try is undisturbed, three times at most.
    ///
    /// # Errors
    /// As [`Peer::cost`].
    pub fn add(&mut self, peer: &mut Peer, work: &str) -> Result<(), String> {
        for _ in 0..MOST {
            let tried = once(peer, work)?;
            self.0.push(tried);
            if tried.is_calm() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the medians of the undisturbed tries, or the least disturbed try if there are none.
    ///
    /// # Panics
    /// If nothing was tried.
    pub fn cost(&self) -> Cost {
        let mut counted: Vec<&Try> = self.0.iter().filter(|tried| tried.is_calm()).collect();
        if counted.is_empty() {
            let least = self.0.iter().min_by(|a, b| a.others.total_cmp(&b.others));
            counted.push(least.expect("a program that was asked has tried"));
        }
        let of = |value: fn(&Cost) -> f64| median(counted.iter().map(|tried| value(&tried.cost)).collect());
        Cost { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu) }
    }

    /// Returns the numbers of undisturbed tries and of all.
    pub fn counts(&self) -> [usize; 2] {
        [self.0.iter().filter(|tried| tried.is_calm()).count(), self.0.len()]
    }
}

fn once(peer: &mut Peer, work: &str) -> Result<Try, String> {
    let (started, busy) = (Instant::now(), busy_time());
    let mut sum = Cost { wall: 0.0, cpu: 0.0 };
    let mut times = 0.0;
    while sum.wall < LEAST {
        let cost = peer.cost(work)?;
        sum = Cost { wall: sum.wall + cost.wall, cpu: sum.cpu + cost.cpu };
        times += 1.0;
    }
    let others = (busy_time() - busy - sum.cpu) / started.elapsed().as_secs_f64();
    Ok(Try { cost: Cost { wall: sum.wall / times, cpu: sum.cpu / times }, others })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tried(wall: f64, others: f64) -> Try {
        Try { cost: Cost { wall, cpu: 2.0 * wall }, others }
    }

    #[test]
    fn disturbed_tries_do_not_count_beside_undisturbed_ones() {
        let tries = Tries(vec![tried(9.0, 0.5), tried(1.0, 0.1), tried(2.0, 0.0), tried(3.0, -0.1)]);
        assert_eq!((tries.cost(), tries.counts()), (Cost { wall: 2.0, cpu: 4.0 }, [3, 4]));
        let disturbed = Tries(vec![tried(9.0, 0.5), tried(8.0, 0.4), tried(7.0, 0.9)]);
        assert_eq!((disturbed.cost(), disturbed.counts()), (Cost { wall: 8.0, cpu: 16.0 }, [0, 3]));
    }

    #[test]
    fn short_work_is_repeated_for_a_second() {
        let script = "while read a; do echo '{\"wall\":0.3,\"cpu\":0.1}'; done";
        let mut peer = Peer::start("sh", &["-c", script], Duration::from_mins(1)).unwrap();
        let Cost { wall, cpu } = once(&mut peer, "decode 1").unwrap().cost;
        assert!((wall - 0.3).abs() < 1e-9 && (cpu - 0.1).abs() < 1e-9, "{wall} {cpu}");
    }
}
