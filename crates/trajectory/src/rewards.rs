//! The rewards of one turn, by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Formatter;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Maps names to the rewards of one turn. `acc` and `fmt` are turnwise's own; other names come from
/// environments.
///
/// The paper's `r_ij` is the sum `acc_ij + fmt_ij` (arXiv:2511.14846 §3.2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rewards {
    /// In alphabetical order. A turn has few names, usually the two below, so a list without owned texts is
    /// enough.
    named: Vec<(Cow<'static, str>, f64)>,
}

impl Rewards {
    /// The name of the outcome's reward: 1 at the last turn of a correct trajectory, or the shaped value.
    pub const ACC: &str = "acc";
    /// The name of the format's reward: 0, or negative where the turn broke the format.
    pub const FMT: &str = "fmt";

    /// The largest reward that is read, by size. Sums and squares of a batch of such rewards are finite.
    pub const LARGEST: f64 = 1e100;

    /// Names of rewards of a turn that a program gives, at most.
    pub const NAMES: usize = 64;

    /// Bytes of such a name, at most.
    pub const NAME: usize = 64;

    /// Returns why no reward can have this name, if none can. The rule holds wherever rewards come from.
    pub fn wrong_name(name: &str) -> Option<String> {
        let is_right = (1..=Self::NAME).contains(&name.len()) && !name.chars().any(char::is_control);
        let shown: String = name.chars().take(Self::NAME).collect();
        let rule = format!("a name has 1 to {} bytes and no control characters", Self::NAME);
        (!is_right).then(|| format!("the reward {shown:?}: {rule}"))
    }

    /// Returns why a program may not give these rewards, if it may not: names, or a number out of range.
    ///
    /// `acc` is from 0 to 1, and `fmt` is given by turnwise alone.
    pub fn unfit(&self) -> Option<String> {
        if self.named.len() > Self::NAMES {
            return Some(Self::too_many());
        }
        if self.has(Self::FMT) {
            let advice = "is turnwise's own, for the format of a turn; hint: choose another name";
            return Some(format!("the reward {:?} {advice}", Self::FMT));
        }
        if let Some(why) = self.iter().find_map(|(name, _)| Self::wrong_name(name)) {
            return Some(why);
        }
        if let Some(why) = self.wrong_grade() {
            return Some(why);
        }
        self.iter().find_map(|(name, reward)| {
            out_of_range(reward).map(|why| format!("the reward {name:?} is {why}"))
        })
    }

    /// Returns why the reward named `acc` is no grade, if it is none.
    pub fn wrong_grade(&self) -> Option<String> {
        const ROUNDING: f64 = 1e-9;
        let acc = self.acc();
        let is_grade = (-ROUNDING..=1.0 + ROUNDING).contains(&acc);
        let expected = "expected a grade from 0 to 1; other names take any number";
        (!is_grade).then(|| format!("the reward {:?} is {acc:?}, {expected}", Self::ACC))
    }

    /// Returns why a turn can't hold the sum of rewards that programs gave, if it can't.
    pub fn overfull(&self) -> Option<String> {
        if self.named.len() > Self::NAMES {
            return Some(Self::too_many());
        }
        let largest = Self::LARGEST;
        let over = self.iter().any(|(_, reward)| !(-largest..=largest).contains(&reward));
        over.then(|| format!("a sum of rewards is above {largest:e}"))
    }

    fn too_many() -> String {
        format!("a turn has at most {} names of rewards", Self::NAMES)
    }

    /// Returns the two rewards that turnwise gives.
    pub fn new(acc: f64, fmt: f64) -> Self {
        Self { named: vec![(Self::ACC.into(), acc), (Self::FMT.into(), fmt)] }
    }

    /// Returns whether there is no reward.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Returns whether there is a reward `name`.
    pub fn has(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Returns the reward `name`; 0 where the turn has none of that name.
    pub fn get(&self, name: &str) -> f64 {
        self.place(name).map_or(0.0, |at| self.named[at].1)
    }

    /// Replaces the reward `name`.
    pub fn set(&mut self, name: impl Into<String>, reward: f64) {
        let name = name.into();
        match self.place(&name) {
            Ok(at) => self.named[at].1 = reward,
            Err(at) => self.named.insert(at, (shared(name), reward)),
        }
    }

    /// Adds `reward` to the reward `name`.
    pub fn add(&mut self, name: &str, reward: f64) {
        match self.place(name) {
            Ok(at) => self.named[at].1 += reward,
            Err(at) => self.named.insert(at, (shared(name.into()), reward)),
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
        self.named.iter().map(|(name, reward)| (name.as_ref(), *reward))
    }

    /// Returns the index of a name, or the one that it would have.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.named.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }
}

/// Returns a name, without an allocation if it is one of the two that turnwise gives.
fn shared(name: String) -> Cow<'static, str> {
    match name.as_str() {
        Rewards::ACC => Rewards::ACC.into(),
        Rewards::FMT => Rewards::FMT.into(),
        _ => name.into(),
    }
}

impl Serialize for Rewards {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A reward as it is read.
#[derive(Deserialize)]
#[serde(try_from = "f64")]
struct Bounded(f64);

impl TryFrom<f64> for Bounded {
    type Error = String;

    fn try_from(reward: f64) -> Result<Self, String> {
        out_of_range(reward).map_or(Ok(Self(reward)), Err)
    }
}

/// Returns a number and the range of rewards, if it lies outside. NaN is in no range.
fn out_of_range(reward: f64) -> Option<String> {
    let largest = Rewards::LARGEST;
    let is_in = (-largest..=largest).contains(&reward);
    (!is_in).then(|| format!("{reward:e}, expected a number from -{largest:e} to {largest:e}"))
}

impl<'de> Deserialize<'de> for Rewards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByName)
    }
}

/// Reads an object in which each name stands once. One of two would be lost otherwise.
struct ByName;

impl<'de> Visitor<'de> for ByName {
    type Value = Rewards;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut names: A) -> Result<Rewards, A::Error> {
        let mut named = BTreeMap::new();
        while let Some(name) = names.next_key::<String>()? {
            if let Some(why) = Rewards::wrong_name(&name) {
                return Err(A::Error::custom(why));
            }
            if named.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the reward {name:?} stands twice")));
            }
            let Bounded(reward) = names.next_value()?;
            named.insert(name, reward);
        }
        Ok(named.into_iter().collect())
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
    fn a_reward_whose_square_is_too_large_for_a_number_is_refused() {
        let read = |text: &str| serde_json::from_str::<Rewards>(text).map_err(|error| error.to_string());
        for text in ["1e100", "-1e100", "0", "5e-324"] {
            let rewards = read(&format!("{{\"a\": {text}}}")).unwrap();
            assert_eq!(rewards.get("a"), text.parse::<f64>().unwrap());
        }
        for text in ["1.1e100", "-1e101", "1e308", "-1.7e308"] {
            let error = read(&format!("{{\"a\": {text}}}")).unwrap_err();
            assert!(error.contains("expected a number from -1e100 to 1e100"), "{error}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_and_named() {
        for (text, name) in [
            (r#"{"acc":1,"acc":0}"#, "acc"),
            (r#"{"acc":1,"progress":0.5,"progress":0.5}"#, "progress"),
            (r#"{"a\u0062":1,"ab":1}"#, "ab"),
        ] {
            let error = serde_json::from_str::<Rewards>(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the reward {name:?} stands twice")), "{error}");
        }
        let error = serde_json::from_str::<Rewards>("[1.0]").unwrap_err().to_string();
        assert!(error.contains("expected an object of numbers"), "{error}");
    }

    #[test]
    fn a_program_gives_few_rewards_with_short_names_and_sums_stay_in_range() {
        let of = |name: &str, reward: f64| -> Rewards { [(name, reward)].into_iter().collect() };
        let many = |count: usize| -> Rewards { (0..count).map(|n| (n.to_string(), 1.0)).collect() };
        for fit in [Rewards::default(), of("p", -1e100), of(&"x".repeat(64), 0.0), many(64)] {
            assert_eq!(fit.unfit(), None);
        }
        for unfit in [
            of("p", 1.1e100),
            of("fmt", 0.0),
            of("acc", 1.5),
            of("acc", f64::NAN),
            of("", 1.0),
            of(&"x".repeat(65), 0.0),
            of("a\u{1b}[2J", 0.0),
            of("a\n", 0.0),
            many(65),
        ] {
            assert!(unfit.unfit().is_some(), "{unfit:?}");
        }
        for (acc, wrong) in [(0.0, false), (1.0, false), (-1e-12, false), (-3.0, true), (2.0, true)] {
            assert_eq!(of("acc", acc).wrong_grade().is_some(), wrong, "{acc}");
        }
        assert_eq!(of("p", -3.0).wrong_grade(), None);
        assert_eq!((many(64).overfull(), of("acc", 1e100).overfull()), (None, None));
        assert!(many(65).overfull().is_some() && of("acc", 1.1e100).overfull().is_some());
    }

    #[test]
    fn one_rule_for_names_holds_where_they_are_read_and_where_they_are_given() {
        let longest = "ü".repeat(32);
        for right in ["p", "a b", "fmt", "a.b", "日本", longest.as_str()] {
            assert_eq!(Rewards::wrong_name(right), None, "{right:?}");
        }
        for wrong in ["", "a\n", "\u{1b}[2J", "\0", "\u{85}", &format!("{longest}x"), &"x".repeat(1 << 20)] {
            let why = Rewards::wrong_name(wrong).expect(wrong);
            assert!(why.ends_with(": a name has 1 to 64 bytes and no control characters"), "{why}");
            assert!(why.len() < 300 && !why.chars().any(char::is_control), "{why}");
            let given: Rewards = [(wrong, 1.0)].into_iter().collect();
            assert_eq!(given.unfit().as_ref(), Some(&why));
            let text = serde_json::to_string(&given).unwrap();
            let read = serde_json::from_str::<Rewards>(&text).unwrap_err().to_string();
            assert!(read.starts_with(&why), "{read}");
        }
    }

    #[test]
    fn one_range_holds_where_numbers_are_read_and_where_they_are_given() {
        for number in [1.1e100, 2e100, -6e101, 1e308] {
            let given: Rewards = [("p", number)].into_iter().collect();
            let range = format!("{number:e}, expected a number from -1e100 to 1e100");
            assert_eq!(given.unfit(), Some(format!("the reward \"p\" is {range}")));
            let read = serde_json::from_str::<Rewards>(&format!("{{\"p\":{number:e}}}")).unwrap_err();
            assert!(read.to_string().starts_with(&range), "{read}");
        }
    }

    #[test]
    fn equal_names_add_up_and_absent_ones_are_zero() {
        let rewards: Rewards = [("progress", 0.25), ("acc", 1.0), ("progress", 0.5)].into_iter().collect();
        assert_eq!(rewards.get("progress"), 0.75);
        assert_eq!((rewards.acc(), rewards.fmt()), (1.0, 0.0));
    }

    #[test]
    fn names_are_in_alphabetical_order_however_they_came() {
        let mut rewards = Rewards::new(1.0, -0.1);
        rewards.set("progress", 0.5);
        rewards.add("best", 0.25);
        rewards.add("progress", 0.25);
        let expect = [("acc", 1.0), ("best", 0.25), ("fmt", -0.1), ("progress", 0.75)];
        assert_eq!(rewards.iter().collect::<Vec<_>>(), expect);
        let again: Rewards = expect.into_iter().rev().collect();
        assert_eq!(again, rewards);
    }

    #[test]
    fn a_record_is_a_plain_map() {
        let line = serde_json::to_string(&Rewards::new(1.0, -0.1)).unwrap();
        assert_eq!(line, r#"{"acc":1.0,"fmt":-0.1}"#);
        assert_eq!(serde_json::from_str::<Rewards>(&line).unwrap(), Rewards::new(1.0, -0.1));
    }
}
