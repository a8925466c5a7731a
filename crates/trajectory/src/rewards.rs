//! The rewards of one turn, by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Maps names to the rewards of one turn. `acc` and `fmt` are turnwise's own; other names come from environments.
///
/// The paper's `r_ij` is the sum `acc_ij + fmt_ij` (arXiv:2511.14846 §3.2).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rewards(BTreeMap<String, f64>);

impl Rewards {
    /// The name of the outcome's reward: 1 at the last turn of a correct trajectory, or the shaped value.
    pub const ACC: &str = "acc";
    /// The name of the format's reward: 0, or negative where the turn broke the format.
    pub const FMT: &str = "fmt";

    /// Returns the rewards that turnwise gives itself.
    pub fn new(acc: f64, fmt: f64) -> Self {
        Self(BTreeMap::from([(Self::ACC.into(), acc), (Self::FMT.into(), fmt)]))
    }

    /// Returns whether no reward has a name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the reward `name`; 0 where the turn has none of that name.
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Replaces the reward `name`.
    pub fn set(&mut self, name: impl Into<String>, reward: f64) {
        self.0.insert(name.into(), reward);
    }

    /// Adds `reward` to the reward `name`.
    pub fn add(&mut self, name: &str, reward: f64) {
        if let Some(sum) = self.0.get_mut(name) {
            *sum += reward;
        } else {
            self.0.insert(name.into(), reward);
        }
    }

    /// Adds every reward of `others` to the one of the same name.
    pub fn extend(&mut self, others: &Self) {
        for (name, reward) in others.iter() {
            self.add(name, reward);
        }
    }

    /// Returns the reward named [`Rewards::ACC`].
    pub fn acc(&self) -> f64 {
        self.get(Self::ACC)
    }

    /// Returns the reward named [`Rewards::FMT`].
    pub fn fmt(&self) -> f64 {
        self.get(Self::FMT)
    }

    /// Iterates over names and rewards, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, reward)| (name.as_str(), *reward))
    }
}

impl<N: Into<String>> FromIterator<(N, f64)> for Rewards {
    fn from_iter<I: IntoIterator<Item = (N, f64)>>(rewards: I) -> Self {
        let mut of_turn = Self::default();
        for (name, reward) in rewards {
            of_turn.add(&name.into(), reward);
        }
        of_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_add_up_and_absent_ones_are_zero() {
        let rewards: Rewards = [("progress", 0.25), ("acc", 1.0), ("progress", 0.5)].into_iter().collect();
        assert_eq!(rewards.get("progress"), 0.75);
        assert_eq!((rewards.acc(), rewards.fmt()), (1.0, 0.0));
    }

    #[test]
    fn a_record_is_a_plain_map() {
        let line = serde_json::to_string(&Rewards::new(1.0, -0.1)).unwrap();
        assert_eq!(line, r#"{"acc":1.0,"fmt":-0.1}"#);
        assert_eq!(serde_json::from_str::<Rewards>(&line).unwrap(), Rewards::new(1.0, -0.1));
    }
}
