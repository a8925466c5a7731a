//! Holds what Python's texts do: formats, methods, spellings of values.

pub(crate) mod escape;
pub(crate) mod json;
pub(crate) mod letters;
pub(crate) mod methods;
pub(crate) mod numerals;
pub(crate) mod printf;
pub(crate) mod spelling;
pub(crate) mod str_format;
