//! When a graded trajectory counts as right.

/// An accuracy that falls short of the threshold by rounding: a tenth ten times does.
const ROUNDING: f64 = 1e-9;

/// Returns whether the sum of a trajectory's rewards named `acc` reaches the threshold `correct_at`.
///
/// It decides wherever an environment gives grades and no verdict, and for estimators that are defined on
/// right and wrong.
pub fn is_right(acc: f64, correct_at: f64) -> bool {
    acc >= correct_at - ROUNDING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tenths_are_one() {
        let tenths: f64 = [0.1; 10].iter().sum();
        assert!(tenths < 1.0 && is_right(tenths, 1.0));
        for (acc, at, expect) in
            [(1.0, 1.0, true), (0.999, 1.0, false), (0.7, 0.7, true), (0.69, 0.7, false), (0.0, 0.1, false)]
        {
            assert_eq!(is_right(acc, at), expect, "{acc} at {at}");
        }
    }
}
