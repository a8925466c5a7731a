//! Bounds of what is read.

/// Bytes of a row's text at most: 64 MiB.
pub(crate) const ROW: usize = 64 << 20;
/// Bytes that a file unpacks to at most: 2 GiB.
pub(crate) const UNPACKED: u64 = 2 << 30;
/// Values in the lists of a row group at most: 32 Mi. Runs of them take no space in the file.
pub(crate) const VALUES: u64 = 32 << 20;
/// Bytes of a table's description at most: 16 MiB.
pub(crate) const FOOTER: usize = 16 << 20;
/// Columns of a table at most.
pub(crate) const COLUMNS: usize = 4096;
/// Levels of a table's schema at most.
pub(crate) const DEPTH: usize = 64;

/// Says that a row is too long.
pub(crate) fn too_long() -> String {
    format!("the row has more than {} MiB; hint: leave it out", ROW >> 20)
}

/// Says that a file unpacks to too much.
pub(crate) fn too_much() -> String {
    format!("the file unpacks to more than {} GiB; hint: divide it, or keep fewer columns", UNPACKED >> 30)
}
