//! A run on several ranks: values that all of them see, and which rank plays what.

pub(crate) mod agree;
pub(crate) mod deal;
pub(crate) mod part;
