//! Reads JSON that other programs and people wrote: environments, servers, agents, data files and traces.
//!
//! - [`Unique`] reads a value whose objects hold each key once. A reader that takes the last of two equal
//!   keys hides a mistake.
//! - [`words`] says what is wrong in the terms of the data. Serde's errors name types of Rust.
//! - [`with_exact_integers`] keeps the digits of integers beyond 64 bits, which a number would round.
//! - [`with_tagged_floats`] takes files of Python, which writes `NaN` and `Infinity`.
//! - [`of_text`] and [`of_value`] read a type, and put the path of the fault before these words.
//!
//! ```
//! # use std::collections::BTreeMap;
//! # use turnwise_json::{Unique, of_text, words};
//! let twice = serde_json::from_str::<Unique>(r#"{"acc": 1, "acc": 0}"#).unwrap_err();
//! assert_eq!(words(&twice), "the key \"acc\" stands twice");
//! let list = serde_json::from_str::<Vec<f64>>("{}").unwrap_err();
//! assert_eq!(words(&list), "an object, expected a list");
//! let wrong = of_text::<BTreeMap<String, Vec<f64>>>(r#"{"a": [1, "b"]}"#).unwrap_err();
//! assert_eq!(wrong, "a[1]: the text \"b\", expected a number");
//! ```

mod integers;
mod python;
mod read;
mod unique;
mod words;

pub use integers::{beyond_64_bits, rounded, with_exact_integers};
pub use python::with_tagged_floats;
pub use read::{of_text, of_value};
pub use unique::Unique;
pub use words::words;
