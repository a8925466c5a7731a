//! Draws a table of facts: people, ties between them, ages.

use std::hash::Hasher;

use fnv::FnvHasher;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::seed::stream;

/// People of every table.
pub(super) const PEOPLE: [&str; 24] = [
    "Ann", "Ben", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kay", "Leo", "Mia", "Ned", "Ora",
    "Pam", "Quin", "Rob", "Sue", "Tom", "Una", "Vic", "Wes", "Zoe",
];

/// Facts that lead from a person to another one.
pub(super) const TIES: [&str; 5] = ["friend", "boss", "teacher", "doctor", "coach"];

/// The fact that is a number.
pub(super) const AGE: &str = "age";

/// Holds the facts of one task.
pub(super) struct World {
    /// `ties[t][p]`: index of the person that tie `t` leads to from person `p`, never `p` itself.
    ties: [[usize; PEOPLE.len()]; TIES.len()],
    ages: [u32; PEOPLE.len()],
}

impl World {
    /// Returns the table of the task with this id. It is the same at every call.
    pub(super) fn new(seed: u64, id: &str) -> Self {
        let mut rng = numbers(seed, "world", id);
        let mut other = |person: usize| (person + rng.random_range(1..PEOPLE.len())) % PEOPLE.len();
        let ties = std::array::from_fn(|_| std::array::from_fn(&mut other));
        Self { ties, ages: std::array::from_fn(|_| rng.random_range(18..=80)) }
    }

    /// Returns the person that a tie leads to.
    pub(super) fn follow(&self, person: usize, tie: usize) -> usize {
        self.ties[tie][person]
    }

    /// Returns the age in years.
    pub(super) fn age(&self, person: usize) -> u32 {
        self.ages[person]
    }

    /// Returns a fact as the tool tells it, or its line of error.
    pub(super) fn fact(&self, person: &str, fact: &str) -> Result<String, String> {
        let place = PEOPLE
            .iter()
            .position(|name| *name == person)
            .ok_or_else(|| format!("LookupError: no person {person:?}"))?;
        if fact == AGE {
            return Ok(self.age(place).to_string());
        }
        let tie = TIES
            .iter()
            .position(|tie| *tie == fact)
            .ok_or_else(|| format!("LookupError: no fact {fact:?}; known are {}, {AGE}", TIES.join(", ")))?;
        Ok(PEOPLE[self.follow(place, tie)].to_string())
    }
}

/// Returns the random numbers for one purpose of the task with this id.
pub(super) fn numbers(seed: u64, purpose: &str, id: &str) -> ChaCha8Rng {
    let mut hasher = FnvHasher::default();
    hasher.write(id.as_bytes());
    stream(seed, purpose, hasher.finish())
}
