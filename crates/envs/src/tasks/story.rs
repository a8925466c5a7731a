//! Tells a chain of operations as a word problem.

use crate::tasks::expression::{Expression, Operator};

const NAMES: [&str; 7] = ["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus"];
const THINGS: [&str; 5] = ["coins", "shells", "cards", "stamps", "marbles"];

/// Returns the story of a chain, in which every right side is a number. The numbers decide who has what.
pub(crate) fn story(chain: &Expression) -> String {
    let first = chain.first();
    let (name, things) = (NAMES[first as usize % NAMES.len()], THINGS[first as usize % THINGS.len()]);
    let mut sentences = vec![format!("{name} has {first} {things}.")];
    events(chain, &mut sentences);
    sentences.push(format!("How many {things} does {name} have now?"));
    sentences.join(" ")
}

fn events(chain: &Expression, sentences: &mut Vec<String>) {
    let Expression::Binary(operator, before, number) = chain else { return };
    events(before, sentences);
    let number = number.value();
    sentences.push(match operator {
        Operator::Add => format!("Then come {number} more."),
        Operator::Sub => format!("Then {number} get lost."),
        Operator::Mul => format!("Then it becomes {number} times as many."),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_told_in_its_order() {
        let number = |n| Box::new(Expression::Number(n));
        let sum = Box::new(Expression::Binary(Operator::Add, number(47), number(85)));
        let product = Box::new(Expression::Binary(Operator::Mul, sum, number(3)));
        assert_eq!(
            story(&Expression::Binary(Operator::Sub, product, number(19))),
            "Finn has 47 cards. Then come 85 more. Then it becomes 3 times as many. Then 19 get lost. \
             How many cards does Finn have now?"
        );
    }
}
