//! Sessions: the calls of one bearer token, as a tree by token prefix.

pub(crate) mod all;
pub(crate) mod answer_name;
pub(crate) mod digest;
mod line;
pub(crate) mod of_run;
mod order;
pub(crate) mod record;
mod repeats;
pub(crate) mod run;
pub(crate) mod streams;
pub(crate) mod tree;
pub(crate) mod written;
