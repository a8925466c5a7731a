//! Builds integer expressions: random trees, their text with as few parentheses as needed, and their
//! evaluation step by step.

use rand::{Rng, RngExt};

/// Names an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Operator {
    /// Addition.
    #[serde(rename = "+")]
    Add,
    /// Subtraction.
    #[serde(rename = "-")]
    Sub,
    /// Multiplication.
    #[serde(rename = "*")]
    Mul,
}

impl Operator {
    fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Sub => '-',
            Self::Mul => '*',
        }
    }

    fn precedence(self) -> u8 {
        if self == Self::Mul { 2 } else { 1 }
    }

    fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
        }
    }
}

/// Holds a tree of operations on non-negative integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    Number(i64),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

impl Expression {
    /// Returns a random tree with this many operations. All splits are equally likely.
    pub(crate) fn random(
        operations: u32,
        operators: &[Operator],
        max_operand: i64,
        rng: &mut impl Rng,
    ) -> Self {
        if operations == 0 {
            return Self::Number(rng.random_range(1..=max_operand));
        }
        let left = rng.random_range(0..operations);
        let operator = operators[rng.random_range(0..operators.len())];
        let side = |operations, rng: &mut _| Box::new(Self::random(operations, operators, max_operand, rng));
        let (a, b) = (side(left, rng), side(operations - 1 - left, rng));
        Self::Binary(operator, a, b)
    }

    /// Returns a random chain: every right side is a number, and a factor has one digit.
    pub(crate) fn chain(
        operations: u32,
        operators: &[Operator],
        max_operand: i64,
        rng: &mut impl Rng,
    ) -> Self {
        let mut chain = Self::Number(rng.random_range(1..=max_operand));
        for _ in 0..operations {
            let operator = operators[rng.random_range(0..operators.len())];
            let range = if operator == Operator::Mul { 2..=9 } else { 1..=max_operand };
            chain = Self::Binary(operator, Box::new(chain), Box::new(Self::Number(rng.random_range(range))));
        }
        chain
    }

    /// Returns the value.
    pub(crate) fn value(&self) -> i64 {
        match self {
            Self::Number(n) => *n,
            Self::Binary(operator, a, b) => operator.apply(a.value(), b.value()),
        }
    }

    /// Returns whether every intermediate result is between 0 and `max`.
    pub(crate) fn stays_within(&self, max: i64) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Binary(_, a, b) => {
                a.stays_within(max) && b.stays_within(max) && (0..=max).contains(&self.value())
            }
        }
    }

    /// Returns the text in Python, with parentheses only where they change the tree.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Binary(operator, a, b) => {
                let side = |e: &Self, min: u8| match e {
                    Self::Binary(inner, ..) if inner.precedence() < min => format!("({})", e.text()),
                    _ => e.text(),
                };
                // Operators associate to the left, so an equal one on the right needs parentheses.
                let (left, right) = (side(a, operator.precedence()), side(b, operator.precedence() + 1));
                format!("{left}{}{right}", operator.sign())
            }
        }
    }

    /// Replaces the leftmost operation on two numbers by its value, and returns its text and value. `instead`
    /// is another operator to compute with.
    pub(crate) fn reduce(&mut self, instead: Option<Operator>) -> Option<(String, i64)> {
        let Self::Binary(operator, a, b) = self else { return None };
        if let Some(done) = a.reduce(instead).or_else(|| b.reduce(instead)) {
            return Some(done);
        }
        *operator = instead.unwrap_or(*operator);
        let done = (self.text(), self.value());
        *self = Self::Number(done.1);
        Some(done)
    }

    /// Returns the number of operations.
    pub(crate) fn operations(&self) -> u32 {
        match self {
            Self::Number(_) => 0,
            Self::Binary(_, a, b) => 1 + a.operations() + b.operations(),
        }
    }

    /// Returns the leftmost number.
    pub(crate) fn first(&self) -> i64 {
        match self {
            Self::Number(n) => *n,
            Self::Binary(_, a, _) => a.first(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operator::{Add, Mul, Sub};

    fn binary(operator: Operator, a: Expression, b: Expression) -> Expression {
        Expression::Binary(operator, Box::new(a), Box::new(b))
    }

    #[test]
    fn parentheses_only_where_they_matter() {
        let n = Expression::Number;
        for (expression, text, value) in [
            (binary(Mul, binary(Add, n(2), n(3)), n(4)), "(2+3)*4", 20),
            (binary(Add, n(2), binary(Mul, n(3), n(4))), "2+3*4", 14),
            (binary(Sub, n(9), binary(Sub, n(5), n(2))), "9-(5-2)", 6),
            (binary(Sub, binary(Sub, n(9), n(5)), n(2)), "9-5-2", 2),
            (binary(Add, n(1), binary(Add, n(2), n(3))), "1+(2+3)", 6),
        ] {
            assert_eq!((expression.text().as_str(), expression.value()), (text, value));
        }
    }

    #[test]
    fn reducing_keeps_the_value_and_ends_at_a_number() {
        let mut e = binary(
            Sub,
            binary(Mul, binary(Add, Expression::Number(47), Expression::Number(85)), Expression::Number(3)),
            Expression::Number(19),
        );
        let mut steps = Vec::new();
        while let Some((text, value)) = e.reduce(None) {
            steps.push((text, value, e.text()));
        }
        let steps: Vec<_> = steps.iter().map(|(a, b, c)| (a.as_str(), *b, c.as_str())).collect();
        assert_eq!(steps, [("47+85", 132, "132*3-19"), ("132*3", 396, "396-19"), ("396-19", 377, "377")]);
    }
}
