//! Reads runs: an index over their rollouts, a local page to read them in, and reports.
//!
//! Nothing here writes into a run directory or needs the code of training.
//!
//! | what | file |
//! |---|---|
//! | opens a run; its metrics and settings | `run.rs` |
//! | a list of all rollouts, selected, sorted and searched | `index.rs`, `query.rs`, `search.rs` |
//! | the page of `turnwise view` | `view.rs`, `view/page/` in plain JavaScript |
//! | the report of `turnwise report` | `report.rs`; its parts in `report/sections.rs` |
//! | the curves of metrics in both | `curves.rs` |

mod conversation;
mod curves;
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
