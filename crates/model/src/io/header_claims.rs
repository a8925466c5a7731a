//! Claims about every header of a safetensors file, for the fuzz target and for the replay of its corpus.

use super::safetensors_header::Header;

/// Checks the reading of a header from any bytes. The first byte is the length of the data after it.
pub(crate) fn hold(bytes: &[u8]) {
    let Some((data, head)) = bytes.split_first() else { return };
    let size = head.len() as u64 + u64::from(*data);
    let Ok(header) = Header::read(head, size) else { return };
    let mut end = size - u64::from(*data);
    for name in header.names() {
        let (info, start) = header.tensor(&name).expect("a name of the header");
        let (from, to) = info.data_offsets;
        assert!(start >= end && start + (to - from) as u64 <= size, "{name} lies outside the file");
        end = start + (to - from) as u64;
    }
    let _ = header.counts_of(|_| true).fold(0, u64::saturating_add);
}
