//! One number of a record, which may be absent or not finite.

use serde::{Deserialize, Deserializer, Serialize};

/// Holds a number of a step: computed, absent, or computed and not finite.
///
/// JSON has no NaN: a number that isn't finite is `null` in a line, and NaN when the line is read.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Metric(Option<f64>);

impl Metric {
    /// Returns the number, if it was computed and is finite.
    pub fn value(self) -> Option<f64> {
        self.0.filter(|value| value.is_finite())
    }

    /// Returns whether the number was computed and is NaN or infinite.
    pub fn is_broken(self) -> bool {
        self.0.is_some_and(|value| !value.is_finite())
    }

    /// Returns whether the number was not computed, for example because the step made no update.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl From<f64> for Metric {
    fn from(value: f64) -> Self {
        Self(Some(value))
    }
}

impl<'de> Deserialize<'de> for Metric {
    /// Reads a number, or `null` as NaN. An absent key has the default and isn't read.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Some(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))))
    }
}

/// Returns whether a count is left out of the record.
pub(crate) fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_a_broken_number_and_not_an_absent_one() {
        let read = |text: &str| serde_json::from_str::<Metric>(text).unwrap();
        assert_eq!((read("0.5").value(), read("3").value()), (Some(0.5), Some(3.0)));
        assert!(read("null").is_broken() && !read("null").is_absent());
        assert!(!Metric::default().is_broken() && Metric::default().is_absent());
        for broken in [f64::NAN, f64::INFINITY] {
            let metric = Metric::from(broken);
            assert_eq!((metric.value(), metric.is_broken()), (None, true));
            assert_eq!(serde_json::to_string(&metric).unwrap(), "null");
        }
    }
}
