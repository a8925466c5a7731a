//! House rules that a compiler doesn't know: who imports whom, sizes of files, what sources may contain, and
//! that documents and shipped configurations are true.

mod circles;
mod configs;
mod documents;
mod english;
mod imports;
mod paths;
mod prose;
mod sources;
mod tree;
