//! Ranges as values: membership, and their description.

use std::fmt::{Display, Formatter};

/// Holds a range of numbers, without NaN and the infinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The lower end, times `per`.
    pub least: i64,
    /// The upper end, times `per`; included.
    pub most: i64,
    /// Divisor of both ends.
    pub per: i64,
    /// Whether the lower end is excluded.
    pub open_below: bool,
}

impl Range {
    /// Returns whether a whole number is in the range.
    pub fn holds_whole(self, number: i128) -> bool {
        let (least, most) = (i128::from(self.least), i128::from(self.most));
        // Saturation keeps the order: the ends are far from the largest number.
        let number = number.saturating_mul(i128::from(self.per));
        number <= most && if self.open_below { number > least } else { number >= least }
    }

    /// Returns whether a number is in the range.
    pub fn holds(self, number: f64) -> bool {
        let (least, most) = self.ends();
        number <= most && if self.open_below { number > least } else { number >= least }
    }

    /// Returns both ends.
    pub fn ends(self) -> (f64, f64) {
        let end = |end: i64| end as f64 / self.per as f64;
        (end(self.least), end(self.most))
    }

    /// Describes the range in words, for whole numbers or for all.
    pub fn in_words(self, whole: bool) -> impl Display {
        InWords { range: self, whole }
    }
}

struct InWords {
    range: Range,
    whole: bool,
}

impl Display for InWords {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Range { least, most, per, open_below } = self.range;
        f.write_str(if self.whole { "a whole number " } else { "a number " })?;
        let end = |end: i64| if end % per == 0 { (end / per).to_string() } else { decimal(end, per) };
        if open_below {
            write!(f, "above {}, at most {}", end(least), end(most))
        } else {
            write!(f, "from {} to {}", end(least), end(most))
        }
    }
}

fn decimal(end: i64, per: i64) -> String {
    (end as f64 / per as f64).to_string()
}

#[cfg(test)]
mod tests {
    use crate::{Above, Parts, Seed, Within};

    #[test]
    fn ends_belong_to_a_range_and_what_is_no_number_to_none() {
        let within = Within::<-1, 3>::RANGE;
        for (number, expect) in [
            (-1.0, true),
            (3.0, true),
            (2.5, true),
            (-1.000_1, false),
            (3.000_1, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
            (f64::NEG_INFINITY, false),
            (f64::MAX, false),
        ] {
            assert_eq!(within.holds(number), expect, "{number}");
        }
        let above = Above::<0, 1>::RANGE;
        assert_eq!([0.0, 5e-324, 1.0].map(|number| above.holds(number)), [false, true, true]);
        let parts = Parts::<1, 150, 100>::RANGE;
        assert_eq!([0.009, 0.01, 1.5, 1.51].map(|number| parts.holds(number)), [false, true, true, false]);
        assert_eq!([0, 1, 2].map(|number| parts.holds_whole(number)), [false, true, false]);
        let seed = Seed::RANGE;
        let largest = i128::from(i64::MAX);
        let found = [-1, 0, largest, largest + 1, i128::MAX].map(|number| seed.holds_whole(number));
        assert_eq!(found, [false, true, true, false, false]);
    }

    #[test]
    fn a_range_is_told_in_words() {
        let told = |range: crate::Range, whole| range.in_words(whole).to_string();
        assert_eq!(told(Within::<1, 8>::RANGE, true), "a whole number from 1 to 8");
        assert_eq!(told(Above::<0, 1>::RANGE, false), "a number above 0, at most 1");
        assert_eq!(told(Parts::<1, 9_999, 10_000>::RANGE, false), "a number from 0.0001 to 0.9999");
    }
}
