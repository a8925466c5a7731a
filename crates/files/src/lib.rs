//! Opens files of other programs and people: data, model folders, run directories.
//!
//! A name may stand for a FIFO that never answers, a device without an end, a link to another user's file, or
//! a sparse file of a terabyte. Every file from outside is opened here, so that no such name stops the
//! program:
//! - [`open`], [`read`] and [`read_to_string`] take regular files only, and never wait for a writer;
//! - [`open_within`], [`read`] and [`read_to_string`] compare the size with a bound before they ask for
//!   memory;
//! - [`utf8`] takes bytes as text, with or without a mark;
//! - [`own`] opens files of a run directory, never through a symbolic link.

pub mod own;
mod regular;
mod utf8;

pub use regular::{open, open_within, read, read_to_string};
pub use utf8::utf8;

/// Largest file of settings, such as a `config.json` or a run file: 64 MiB.
pub const SETTINGS: u64 = 64 << 20;
/// Largest file of text that is read at once, such as a tokenizer or a data set: 4 GiB.
pub const TEXT: u64 = 4 << 30;
