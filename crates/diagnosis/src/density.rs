//! Decision density: the share of turns that matter (arXiv:2606.22164).
//!
//! The paper's `ρ` is the fraction of turns whose actions affect the return. A deviation, ours: a turn
//! matters here if its reference is at least [`LEAST`] in size and beyond two of its standard errors. Smaller
//! effects than the rollouts can show aren't counted, so it is a lower bound that grows with the rollouts.
//! Turns without a reference are left out.

use crate::reference::Reference;

/// The smallest change of the success rate that matters.
const LEAST: f64 = 0.1;

/// Returns whether a turn matters.
pub(crate) fn matters(reference: &Reference) -> bool {
    reference.value.abs() >= LEAST.max(2.0 * reference.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_matters_if_its_change_is_large_and_certain() {
        let check = |value, error, expect| assert_eq!(matters(&Reference { value, error }), expect);
        check(0.2, 0.05, true);
        check(-0.2, 0.05, true);
        check(0.2, 0.15, false);
        check(0.05, 0.0, false);
    }
}
