//! Ranges of the numbers that run files and command lines hold, each written once, at its field.
//!
//! A field of a configuration names its range where it is declared. Serde checks it while the file is read, so the
//! error has the line:
//!
//! ```
//! # use serde::Deserialize;
//! # use turnwise_bounds::{Above, Within};
//! #[derive(Deserialize, Debug)]
//! struct Sampling {
//!     #[serde(deserialize_with = "Above::<0, 100>::read")]
//!     temperature: f64,
//!     #[serde(deserialize_with = "Within::<0, 1_000>::read")]
//!     top_k: Option<usize>,
//! }
//! let refused = toml::from_str::<Sampling>("top_k = 3\ntemperature = 0").unwrap_err().to_string();
//! assert!(refused.contains("line 2"));
//! assert!(refused.contains("invalid value: 0, expected a number above 0, at most 100"));
//! ```
//!
//! The page and the schema of all keys are made from the same declarations. An argument of a command line has its
//! range in the same way: `#[arg(value_parser = Within::<0, 100>::parse::<f64>)]`.

mod conflict;
mod number;
mod range;
mod read;

pub use conflict::Conflict;
pub use number::Number;
pub use range::Range;
pub use read::Ranged;

use serde::Deserializer;

const CLOSED: bool = false;
const OPEN: bool = true;

/// A range as a type: from `LEAST / PER` to `MOST / PER`. `OPEN_BELOW` leaves the lower end out.
pub struct Numbers<const LEAST: i64, const MOST: i64, const PER: i64, const OPEN_BELOW: bool>;

/// The numbers from `LEAST` to `MOST`, both included.
pub type Within<const LEAST: i64, const MOST: i64> = Numbers<LEAST, MOST, 1, CLOSED>;

/// The numbers above `LEAST`, up to `MOST`, which is included.
pub type Above<const LEAST: i64, const MOST: i64> = Numbers<LEAST, MOST, 1, OPEN>;

/// The numbers from `LEAST / PER` to `MOST / PER`, both included.
pub type Parts<const LEAST: i64, const MOST: i64, const PER: i64> = Numbers<LEAST, MOST, PER, CLOSED>;

/// Seeds. TOML has no larger whole number.
pub type Seed = Within<0, 9_223_372_036_854_775_807>;

/// Seconds of a limit: from a millisecond to a thousand hours, which timers can hold.
pub type Seconds = Parts<1, 3_600_000_000, 1_000>;

impl<const LEAST: i64, const MOST: i64, const PER: i64, const OPEN_BELOW: bool>
    Numbers<LEAST, MOST, PER, OPEN_BELOW>
{
    /// The range as a value.
    pub const RANGE: Range = Range { least: LEAST, most: MOST, per: PER, open_below: OPEN_BELOW };

    /// Reads a number, an optional one or a list of them: for serde's `deserialize_with`.
    pub fn read<'de, T: Ranged<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::read(Self::RANGE, deserializer)
    }

    /// Reads the text of an argument: for clap's `value_parser`.
    pub fn parse<T: Number>(text: &str) -> Result<T, String> {
        let number = number::of_text::<T>(text).filter(|number| number.is_in(Self::RANGE));
        number.ok_or_else(|| format!("expected {}", Self::RANGE.of::<T>()))
    }

    /// Refuses a number that code has given.
    pub fn check<T: Number>(name: &str, number: T) -> Result<(), String> {
        if number.is_in(Self::RANGE) {
            return Ok(());
        }
        Err(format!("{name} is {}, expected {}", number.text(), Self::RANGE.of::<T>()))
    }
}
