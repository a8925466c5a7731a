//! Reads a template: its text → tokens → statements and expressions.

pub(crate) mod expressions;
pub(crate) mod lexer;
pub(crate) mod parser;
pub(crate) mod syntax;
