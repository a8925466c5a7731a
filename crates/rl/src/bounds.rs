//! Numbers in run files that have a range: checked while reading, so that the error names the line.

use serde::{Deserialize, Deserializer, de::Error};

fn within<'de, D, F>(deserializer: D, range: &str, holds: F) -> Result<f64, D::Error>
where
    D: Deserializer<'de>,
    F: Fn(f64) -> bool,
{
    let value = f64::deserialize(deserializer)?;
    if holds(value) { Ok(value) } else { Err(D::Error::custom(format!("{value} is not {range}"))) }
}

/// A number in `[0, 1]`.
pub(crate) fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, "between 0 and 1", |v| (0.0..=1.0).contains(&v))
}

/// A finite number that is not negative.
pub(crate) fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(deserializer, "zero or a positive number", |v| v.is_finite() && v >= 0.0)
}

/// Delta degrees of freedom of a standard deviation: 0 (population) or 1 (sample).
pub(crate) fn ddof<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    match u8::deserialize(deserializer)? {
        value @ (0 | 1) => Ok(value),
        other => Err(D::Error::custom(format!("ddof is {other}: it must be 0 or 1"))),
    }
}
