//! The types of numbers that can have a range.

use std::num::NonZeroUsize;

use crate::Range;

/// Marks the types of numbers that can have a range.
pub trait Number: Copy + Send + Sync + 'static {
    /// Whether the type has no fraction.
    const WHOLE: bool;

    /// Returns a whole number as this type, if the type can hold it.
    fn from_whole(number: i128) -> Option<Self>;

    /// Returns a number with a fraction as this type, if the type can hold it.
    fn from_float(number: f64) -> Option<Self>;

    /// Returns whether a range holds the number.
    fn is_in(self, range: Range) -> bool;

    /// Formats the number for a reader.
    fn text(self) -> String;
}

macro_rules! whole {
    ($($kind:ty),+) => { $(
        impl Number for $kind {
            const WHOLE: bool = true;

            fn from_whole(number: i128) -> Option<Self> {
                Self::try_from(number).ok()
            }

            fn from_float(_: f64) -> Option<Self> {
                None
            }

            fn is_in(self, range: Range) -> bool {
                i128::try_from(self).is_ok_and(|number| range.holds_whole(number))
            }

            fn text(self) -> String {
                self.to_string()
            }
        }
    )+ };
}

whole!(u8, u16, u32, u64, usize, i64);

impl Number for NonZeroUsize {
    const WHOLE: bool = true;

    fn from_whole(number: i128) -> Option<Self> {
        usize::from_whole(number).and_then(Self::new)
    }

    fn from_float(_: f64) -> Option<Self> {
        None
    }

    fn is_in(self, range: Range) -> bool {
        self.get().is_in(range)
    }

    fn text(self) -> String {
        self.to_string()
    }
}

impl Number for f64 {
    const WHOLE: bool = false;

    fn from_whole(number: i128) -> Option<Self> {
        Some(number as f64)
    }

    fn from_float(number: f64) -> Option<Self> {
        Some(number)
    }

    fn is_in(self, range: Range) -> bool {
        range.holds(self)
    }

    fn text(self) -> String {
        float(self)
    }
}

/// Writes a number without a long tail of zeros.
pub(crate) fn float(number: f64) -> String {
    let plain = number.is_finite() && (number == 0.0 || (1e-6..1e15).contains(&number.abs()));
    if plain { number.to_string() } else { format!("{number:e}").to_lowercase() }
}

/// Reads a number from a text.
pub(crate) fn of_text<T: Number>(text: &str) -> Option<T> {
    let whole = text.parse::<i128>().ok().and_then(T::from_whole);
    whole.or_else(|| text.parse::<f64>().ok().and_then(T::from_float))
}

#[cfg(test)]
mod tests {
    use crate::{Above, Within};

    #[test]
    fn a_text_is_a_number_of_the_range_or_is_refused_with_it() {
        let temperature = |text: &str| Within::<0, 100>::parse::<f64>(text);
        assert_eq!(temperature("0"), Ok(0.0));
        assert_eq!(temperature("1e-3"), Ok(1e-3));
        for text in ["nan", "inf", "-inf", "-1", "101", "1e309", "one", "", "1 2"] {
            assert_eq!(temperature(text), Err("expected a number from 0 to 100".into()), "{text}");
        }
        let tokens = |text: &str| Within::<1, 64>::parse::<usize>(text);
        assert_eq!(tokens("64"), Ok(64));
        for text in ["0", "-1", "65", "1.5", "nan", "18446744073709551616", "1e1"] {
            assert_eq!(tokens(text), Err("expected a whole number from 1 to 64".into()), "{text}");
        }
    }

    #[test]
    fn a_number_that_code_gives_is_checked_and_told() {
        assert_eq!(Above::<0, 1>::check("alpha", 0.5), Ok(()));
        for (number, told) in
            [(f64::NAN, "nan"), (f64::INFINITY, "inf"), (1e300, "1e300"), (-0.25, "-0.25"), (0.0, "0")]
        {
            let expect = format!("alpha is {told}, expected a number above 0, at most 1");
            assert_eq!(Above::<0, 1>::check("alpha", number), Err(expect));
        }
    }
}
