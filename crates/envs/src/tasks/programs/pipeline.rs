//! Builds small functions on lists of integers as sequences of steps: their words, their values, and Python
//! that computes them.

use rand::{Rng, RngExt};

/// Holds a list, or the number that the last step makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Result {
    List(Vec<i64>),
    Number(i64),
}

impl std::fmt::Display for Result {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::List(list) => write!(f, "{list:?}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Names a step of a function. The last three end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Evens,
    Odds,
    Add(i64),
    Times(i64),
    Reverse,
    Sort,
    Rest,
    Sum,
    Max,
    Count,
}

impl Step {
    fn draw(last: bool, rng: &mut impl Rng) -> Self {
        let constant = rng.random_range(2..=9);
        match rng.random_range(0..if last { 14 } else { 11 }) {
            0 => Self::Evens,
            1 => Self::Odds,
            2..=4 => Self::Add(constant),
            5..=7 => Self::Times(constant),
            8 => Self::Reverse,
            9 => Self::Sort,
            10 => Self::Rest,
            11 => Self::Sum,
            12 => Self::Max,
            _ => Self::Count,
        }
    }

    /// Returns the step in the task's words. An unknown constant is a question mark.
    fn name(self, unknown: bool) -> String {
        let constant = |c: i64| if unknown { "?".to_string() } else { c.to_string() };
        match self {
            Self::Evens => "keep even".into(),
            Self::Odds => "keep odd".into(),
            Self::Add(c) => format!("add {}", constant(c)),
            Self::Times(c) => format!("times {}", constant(c)),
            Self::Reverse => "reverse".into(),
            Self::Sort => "sort".into(),
            Self::Rest => "drop first".into(),
            Self::Sum => "sum".into(),
            Self::Max => "max".into(),
            Self::Count => "count".into(),
        }
    }

    /// Returns a Python expression of `x`.
    fn python(self) -> String {
        match self {
            Self::Evens => "[a for a in x if a%2==0]".into(),
            Self::Odds => "[a for a in x if a%2==1]".into(),
            Self::Add(c) => format!("[a+{c} for a in x]"),
            Self::Times(c) => format!("[a*{c} for a in x]"),
            Self::Reverse => "x[::-1]".into(),
            Self::Sort => "sorted(x)".into(),
            Self::Rest => "x[1:]".into(),
            Self::Sum => "sum(x)".into(),
            Self::Max => "max(x,default=0)".into(),
            Self::Count => "len(x)".into(),
        }
    }

    fn apply(self, x: Vec<i64>) -> Result {
        let each = |f: &dyn Fn(i64) -> i64| x.iter().map(|&a| f(a)).collect();
        Result::List(match self {
            Self::Evens => x.into_iter().filter(|a| a % 2 == 0).collect(),
            Self::Odds => x.into_iter().filter(|a| a % 2 == 1).collect(),
            Self::Add(c) => each(&|a| a + c),
            Self::Times(c) => each(&|a| a * c),
            Self::Reverse => x.into_iter().rev().collect(),
            Self::Sort => {
                let mut x = x;
                x.sort_unstable();
                x
            }
            Self::Rest => x.into_iter().skip(1).collect(),
            Self::Sum => return Result::Number(x.iter().sum()),
            Self::Max => return Result::Number(x.iter().copied().max().unwrap_or(0)),
            Self::Count => return Result::Number(x.len() as i64),
        })
    }

    /// Returns the same step with another constant, if it has one.
    fn with(self, constant: i64) -> Option<Self> {
        match self {
            Self::Add(_) => Some(Self::Add(constant)),
            Self::Times(_) => Some(Self::Times(constant)),
            _ => None,
        }
    }
}

/// Describes a function. The task may leave out one of its constants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pipeline {
    steps: Vec<Step>,
    /// Index of the step whose constant is hidden.
    unknown: Option<usize>,
}

impl Pipeline {
    /// Returns a random function. With `hide`, one of its constants is hidden. None if it has no constant
    /// then, or if a step repeats the one before.
    pub(super) fn draw(steps: u32, hide: bool, rng: &mut impl Rng) -> Option<Self> {
        let steps: Vec<Step> = (1..=steps).map(|at| Step::draw(at == steps, rng)).collect();
        if steps.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let constants: Vec<usize> = (0..steps.len()).filter(|&at| steps[at].with(0).is_some()).collect();
        let unknown = match (hide, constants.len()) {
            (false, _) => None,
            (true, 0) => return None,
            (true, n) => Some(constants[rng.random_range(0..n)]),
        };
        Some(Self { steps, unknown })
    }

    /// Returns the task's words.
    pub(super) fn text(&self) -> String {
        let name = |(at, step): (usize, &Step)| step.name(self.unknown == Some(at));
        format!("f(x): {}", self.steps.iter().enumerate().map(name).collect::<Vec<_>>().join(", "))
    }

    /// Returns Python that computes it, a line per step.
    pub(super) fn python(&self) -> String {
        let (last, before) = self.steps.split_last().expect("a function has steps");
        let mut lines = vec!["def f(x):".to_string()];
        lines.extend(before.iter().map(|step| format!(" x={}", step.python())));
        lines.push(format!(" return {}", last.python()));
        lines.join("\n")
    }

    /// Returns its result.
    pub(super) fn apply(&self, x: &[i64]) -> Result {
        let mut list = x.to_vec();
        for &step in &self.steps {
            match step.apply(list) {
                Result::List(next) => list = next,
                number @ Result::Number(_) => return number,
            }
        }
        Result::List(list)
    }

    /// Returns the function with another value of the hidden constant, or unchanged if none is hidden.
    pub(super) fn guess(&self, constant: i64) -> Self {
        let mut guess = self.clone();
        if let Some(at) = self.unknown {
            guess.steps[at] = self.steps[at].with(constant).expect("the unknown step has a constant");
        }
        guess
    }

    /// Returns the hidden constant.
    pub(super) fn unknown_constant(&self) -> Option<i64> {
        match self.steps[self.unknown?] {
            Step::Add(c) | Step::Times(c) => Some(c),
            _ => unreachable!("the unknown step has a constant"),
        }
    }

    /// Returns the function without one of its steps, for a demonstration that fails.
    pub(super) fn without(&self, step: usize) -> Self {
        let mut other = self.clone();
        other.steps.remove(step);
        other.unknown = None;
        other
    }

    /// Returns the number of steps.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_python_and_result_agree() {
        let pipeline = Pipeline { steps: vec![Step::Evens, Step::Add(3), Step::Sum], unknown: Some(1) };
        assert_eq!(pipeline.text(), "f(x): keep even, add ?, sum");
        assert_eq!(
            pipeline.python(),
            "def f(x):\n x=[a for a in x if a%2==0]\n x=[a+3 for a in x]\n return sum(x)"
        );
        assert_eq!(pipeline.apply(&[1, 2, 4]), Result::Number(12));
        assert_eq!(pipeline.guess(1).apply(&[1, 2, 4]), Result::Number(8));
        assert_eq!(pipeline.unknown_constant(), Some(3));
    }
}
