//! Rows of data files: JSON lines, one JSON array, both of them in gzip, and parquet.
//!
//! The content tells the kind of a file, whatever its name. A [`Row`] is the text of a JSON object with its
//! place: the line that it starts on, or its number in a table, from 1. Rows are read on demand.
//!
//! Files come from others, so every step has a bound:
//! - a file has at most [`turnwise_files::TEXT`] bytes, and 2 GiB if it has to be unpacked;
//! - a row has at most 64 MiB;
//! - a table is checked before the parquet library sees it, because that library trusts sizes that the file
//!   states: depth of its schema, sizes and numbers of values of its pages.
//!
//! A mistake is one line with file, place, value and hint.

mod array;
mod columns;
mod error;
mod gzip;
mod kind;
mod limits;
mod lines;
mod row;
mod rows;
mod table;

pub use columns::{at, conflict, overlaid};
pub use error::DataError;
pub use row::{Row, Rows};
pub use rows::{read, rows};
