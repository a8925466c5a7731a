//! Holds the filters, tests and functions that a template finds.

pub(crate) mod checks;
pub(crate) mod filters;
pub(crate) mod globals;
pub(crate) mod names;
