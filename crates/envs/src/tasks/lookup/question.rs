//! Builds questions over a table of facts: their text, their answer, and their solution lookup by lookup.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::world::{AGE, PEOPLE, TIES, World};

/// Names a kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// "Who is the boss of the friend of Ann?" The answer is a name.
    Who,
    /// "Is the boss of Ann older than Ben?" The answer is yes or no.
    Older,
}

/// Names a person, or a chain of ties that leads to one: "the boss of the friend of Ann".
#[derive(Debug, Clone)]
pub(super) struct Chain {
    person: usize,
    /// The ties. The one nearest to the person comes last, as in the text.
    ties: Vec<usize>,
    age: Option<u32>,
}

impl Chain {
    fn random(hops: u32, rng: &mut impl Rng) -> Self {
        let ties = (0..hops).map(|_| rng.random_range(0..TIES.len())).collect();
        Self { person: rng.random_range(0..PEOPLE.len()), ties, age: None }
    }

    fn text(&self) -> String {
        if let Some(age) = self.age {
            return age.to_string();
        }
        let ties = self.ties.iter().map(|tie| format!("the {} of ", TIES[*tie]));
        ties.collect::<String>() + PEOPLE[self.person]
    }

    fn end(&self, world: &World) -> usize {
        self.ties.iter().rev().fold(self.person, |person, tie| world.follow(person, *tie))
    }

    /// Follows the tie nearest to the person, or another one `instead`.
    fn hop(&mut self, world: &World, instead: Option<usize>) -> Option<Step> {
        let (person, right) = (self.person, self.ties.pop()?);
        let tie = instead.unwrap_or(right);
        self.person = world.follow(person, tie);
        Some((PEOPLE[person], TIES[tie], PEOPLE[self.person].to_string()))
    }

    fn look_up_age(&mut self, world: &World) -> Option<Step> {
        if self.age.is_some() {
            return None;
        }
        let age = world.age(self.person);
        self.age = Some(age);
        Some((PEOPLE[self.person], AGE, age.to_string()))
    }
}

/// Person, fact and value of one lookup.
type Step = (&'static str, &'static str, String);

/// Holds a question and the progress of its solution.
#[derive(Debug, Clone)]
pub(super) enum Query {
    Who(Chain),
    Older(Chain, Chain),
}

impl Query {
    /// Returns a random question of this many lookups, at least 2.
    pub(super) fn random(kind: Question, lookups: u32, rng: &mut impl Rng) -> Self {
        match kind {
            Question::Who => Self::Who(Chain::random(lookups, rng)),
            Question::Older => {
                // Two lookups are the ages.
                let hops = lookups - 2;
                let left = rng.random_range(0..=hops);
                Self::Older(Chain::random(left, rng), Chain::random(hops - left, rng))
            }
        }
    }

    /// Returns the question's text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Who(chain) => format!("Who is {}?", chain.text()),
            Self::Older(a, b) => format!("Is {} older than {}?", a.text(), b.text()),
        }
    }

    /// Returns the rest of the question.
    pub(super) fn rest(&self) -> String {
        match self {
            Self::Who(chain) => chain.text(),
            Self::Older(a, b) => format!("{} older than {}", a.text(), b.text()),
        }
    }

    /// Returns the answer. None if the question makes no sense in this table, because both sides are one
    /// person or equally old.
    pub(super) fn answer(&self, world: &World) -> Option<String> {
        match self {
            Self::Who(chain) => Some(PEOPLE[chain.end(world)].to_string()),
            Self::Older(a, b) => {
                let (a, b) = (world.age(a.end(world)), world.age(b.end(world)));
                (a != b).then(|| if a > b { "yes" } else { "no" }.to_string())
            }
        }
    }

    /// Returns the answer of a policy that gives up early: the person reached so far, or that the first is
    /// older.
    pub(super) fn guess(&self) -> &'static str {
        match self {
            Self::Who(chain) => PEOPLE[chain.person],
            Self::Older(..) => "yes",
        }
    }

    /// Returns the answer that follows from the lookups so far.
    pub(super) fn outcome(&self) -> String {
        match self {
            Self::Who(chain) => PEOPLE[chain.person].to_string(),
            Self::Older(a, b) => if a.age > b.age { "yes" } else { "no" }.to_string(),
        }
    }

    /// Returns the next lookup, or none if the question is solved. With `instead`, that tie is followed by
    /// mistake.
    pub(super) fn reduce(&mut self, world: &World, instead: Option<usize>) -> Option<Step> {
        match self {
            Self::Who(chain) => chain.hop(world, instead),
            Self::Older(a, b) => a
                .hop(world, instead)
                .or_else(|| b.hop(world, instead))
                .or_else(|| a.look_up_age(world))
                .or_else(|| b.look_up_age(world)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(person: &str, ties: &[&str]) -> Chain {
        let tie = |name: &&str| TIES.iter().position(|tie| tie == name).unwrap();
        Chain {
            person: PEOPLE.iter().position(|name| *name == person).unwrap(),
            ties: ties.iter().map(tie).collect(),
            age: None,
        }
    }

    #[test]
    fn questions_read_from_the_outside_in_and_are_solved_from_the_inside_out() {
        let world = World::new(0, "a");
        let fact = |person: &str, fact: &str| world.fact(person, fact).unwrap();
        let friend = fact("Ann", "friend");
        let mut query = Query::Who(chain("Ann", &["boss", "friend"]));
        assert_eq!(query.text(), "Who is the boss of the friend of Ann?");
        let answer = query.answer(&world).unwrap();
        assert_eq!(answer, fact(&friend, "boss"));
        assert_eq!(query.reduce(&world, None), Some(("Ann", "friend", friend.clone())));
        assert_eq!(query.rest(), format!("the boss of {friend}"));
        assert_eq!(query.reduce(&world, None).map(|step| step.2), Some(answer));
        assert_eq!(query.reduce(&world, None), None);
    }

    #[test]
    fn a_comparison_looks_up_both_ages() {
        let world = World::new(0, "b");
        let mut query = Query::Older(chain("Ann", &["coach"]), chain("Ben", &[]));
        assert_eq!(query.text(), "Is the coach of Ann older than Ben?");
        let answer = query.answer(&world);
        let steps: Vec<Step> = std::iter::from_fn(|| query.reduce(&world, None)).collect();
        let ages: Vec<u32> = steps[1..].iter().map(|step| step.2.parse().unwrap()).collect();
        assert_eq!((steps.len(), steps[1].1, steps[2].1), (3, AGE, AGE));
        assert_eq!(query.rest(), format!("{} older than {}", ages[0], ages[1]));
        assert_eq!(
            answer.as_deref(),
            (ages[0] != ages[1]).then_some(if ages[0] > ages[1] { "yes" } else { "no" })
        );
    }
}
