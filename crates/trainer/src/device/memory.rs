//! Measures the memory that is left, and formats sizes.

pub use turnwise_model::available_memory as available;

/// Formats a size for a reader.
pub fn size(bytes: u64) -> String {
    let gib = bytes as f64 / (1_u64 << 30) as f64;
    if gib >= 0.1 { format!("{gib:.1} GiB") } else { format!("{:.0} MiB", gib * 1024.0) }
}
