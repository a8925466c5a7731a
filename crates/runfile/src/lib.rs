//! Run files: TOML in layers, each number in its range, each choice by its name.
//!
//! [`Layers`] reads a file, its overlays and `--set key=value`, and merges them into a configuration of any
//! type. An error is one line with the place (file and line, or the `--set` that holds it), and often a
//! second one with a hint.
//!
//! A field of a configuration names its range where it is declared. Serde checks it while the file is read,
//! so the error has the line:
//!
//! ```
//! # use serde::Deserialize;
//! # use turnwise_runfile::{Above, Consistent, Layers, Within};
//! #[derive(Deserialize, Debug)]
//! struct Sampling {
//!     #[serde(deserialize_with = "Above::<0, 100>::read")]
//!     temperature: f64,
//!     #[serde(deserialize_with = "Within::<0, 1_000>::read")]
//!     top_k: Option<usize>,
//! }
//! # impl Consistent for Sampling {}
//! let layers = Layers::read(None, &[], &["top_k=3".into(), "temperature=0".into()])?;
//! let refused = layers.resolve::<Sampling>().unwrap_err().to_string();
//! assert_eq!(refused, "--set temperature=0: `temperature` is 0, expected a number above 0, at most 100");
//! # Ok::<(), turnwise_runfile::ConfigError>(())
//! ```
//!
//! [`choice!`] declares a key that names one of several implementations, such as `advantage = "grpo"`.
//! [`names!`] declares one that takes a plain name, such as `rollout.format = "hermes"`.
//!
//! The page and the schema of all keys are generated from the same declarations. An argument of a command
//! line has its range in the same way: `#[arg(value_parser = Within::<0, 100>::parse::<f64>)]`.

mod choice;
mod conflict;
mod error;
mod explain;
mod fault;
mod layers;
mod names;
mod nearest;
mod node;
mod number;
mod or_auto;
mod range;
mod read;
mod source;

pub use conflict::{Conflict, Consistent};
pub use error::ConfigError;
pub use layers::{Layers, Presets, to_toml};
pub use names::UnknownName;
pub use nearest::nearest;
pub use node::CHOICE;
pub use number::Number;
pub use or_auto::OrAuto;
pub use range::Range;
pub use read::Ranged;

use serde::Deserializer;

const CLOSED: bool = false;
const OPEN: bool = true;

/// Names a range as a type: from `LEAST / PER` to `MOST / PER`. `OPEN_BELOW` excludes the lower end.
pub struct Numbers<const LEAST: i64, const MOST: i64, const PER: i64, const OPEN_BELOW: bool>;

/// Names the numbers from `LEAST` to `MOST`, both included.
pub type Within<const LEAST: i64, const MOST: i64> = Numbers<LEAST, MOST, 1, CLOSED>;

/// Names the numbers above `LEAST`, up to `MOST`, which is included.
pub type Above<const LEAST: i64, const MOST: i64> = Numbers<LEAST, MOST, 1, OPEN>;

/// Names the numbers from `LEAST / PER` to `MOST / PER`, both included.
pub type Parts<const LEAST: i64, const MOST: i64, const PER: i64> = Numbers<LEAST, MOST, PER, CLOSED>;

/// Names the range of seeds. TOML has no larger whole number.
pub type Seed = Within<0, 9_223_372_036_854_775_807>;

/// Names the range of time limits: from a millisecond to a thousand hours, which timers can hold.
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

    /// Parses an argument: for clap's `value_parser`.
    pub fn parse<T: Number>(text: &str) -> Result<T, String> {
        let number = number::of_text::<T>(text).filter(|number| number.is_in(Self::RANGE));
        number.ok_or_else(|| format!("expected {}", Self::RANGE.in_words(T::WHOLE)))
    }

    /// Checks a number that comes from code.
    pub fn check<T: Number>(name: &str, number: T) -> Result<(), String> {
        if number.is_in(Self::RANGE) {
            return Ok(());
        }
        Err(format!("{name} is {}, expected {}", number.text(), Self::RANGE.in_words(T::WHOLE)))
    }
}
