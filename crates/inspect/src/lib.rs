//! Reads runs: an index over their rollouts, a local page to read them in, and reports.
//!
//! Nothing here writes into a run directory or needs the code of training.

mod conversation;
mod error;
mod index;
mod outline;
mod pieces;
mod query;
pub mod report;
mod run;
mod search;
pub mod view;

pub use error::InspectError;
pub use index::{Bad, Index, Row};
pub use pieces::Pieces;
pub use query::{Filter, Query, Sort};
pub use run::Run;
