//! The header of a safetensors file, checked against the file's size before any tensor is read.

use std::io::Read;

use safetensors::tensor::{Metadata, TensorInfo};

/// Bytes of a header, the limit of `safetensors` itself.
const LIMIT: u64 = 100_000_000;

/// Bytes of the header's length.
const LENGTH: u64 = 8;

/// Holds types, shapes and offsets of the tensors of a file.
///
/// Tensors fill the file's data without gap or overlap, and their sizes are those of their shapes.
pub(crate) struct Header {
    metadata: Metadata,
    /// The file offset of the data.
    data: u64,
}

impl Header {
    /// Reads the header of a file of `size` bytes.
    pub(crate) fn read(mut file: impl Read, size: u64) -> Result<Self, String> {
        let mut length = [0; LENGTH as usize];
        file.read_exact(&mut length).map_err(|error| error.to_string())?;
        let length = u64::from_le_bytes(length);
        if length > LIMIT.min(size.saturating_sub(LENGTH)) {
            return Err(format!("a header of {length} bytes doesn't fit"));
        }
        let mut text = vec![0; length as usize];
        file.read_exact(&mut text).map_err(|error| error.to_string())?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let data = LENGTH + length;
        if data.checked_add(metadata.data_len() as u64) != Some(size) {
            return Err(format!("its tensors have {} bytes behind a head of {data}", metadata.data_len()));
        }
        Ok(Self { metadata, data })
    }

    /// Returns the names of the tensors, in the order of the file.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// Returns type and shape of a tensor, and its file offset.
    pub(crate) fn tensor(&self, name: &str) -> Option<(&TensorInfo, u64)> {
        let info = self.metadata.info(name)?;
        Some((info, self.data + info.data_offsets.0 as u64))
    }

    /// Returns the number of entries of each tensor whose name `take` accepts.
    pub(crate) fn counts_of(&self, take: impl Fn(&String) -> bool) -> impl Iterator<Item = u64> {
        let taken = self.metadata.tensors().into_iter().filter(move |(name, _)| take(name));
        // The header was checked: no product overflows.
        taken.map(|(_, info)| info.shape.iter().product::<usize>() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_target_holds() {
        crate::corpus::replay("safetensors_header", crate::io::header_claims::hold);
    }

    fn read(header: &str, data: u64) -> Result<Header, String> {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        Header::read(&bytes[..], bytes.len() as u64 + data)
    }

    fn entry(shape: &str, start: u64, end: u64) -> String {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    }

    #[test]
    fn tensors_lie_where_the_header_says() {
        let header = format!(r#"{{"a":{},"b":{}}}"#, entry("[2,3]", 8, 32), entry("[2]", 0, 8));
        let found = read(&header, 32).unwrap();
        let start = 8 + header.len() as u64;
        let (info, at) = found.tensor("a").unwrap();
        assert_eq!((&info.shape[..], at), (&[2, 3][..], start + 8));
        assert_eq!(found.tensor("b").unwrap().1, start);
        assert!(found.tensor("c").is_none());
        assert_eq!(
            (found.names(), found.counts_of(|_| true).sum::<u64>()),
            (vec!["b".into(), "a".into()], 8)
        );
    }

    #[test]
    fn a_header_that_lies_is_refused_before_anything_is_read() {
        let check = |header: &str, data: u64, part: &str| {
            let error = read(header, data).err().expect("a refusal");
            assert!(error.contains(part), "{header}: {error}");
        };
        let one = |shape: &str, end: u64| format!(r#"{{"a":{}}}"#, entry(shape, 0, end));
        assert!(read(&one("[2]", 8), 8).is_ok());
        check(&one("[2]", 8), 7, "have 8 bytes");
        check(&one("[2]", 8), 1 << 50, "have 8 bytes");
        check(&one("[3]", 8), 8, "");
        check(&one("[0]", 8), 8, "");
        check(&one("[1099511627776,1099511627776]", 8), 8, "");
        check(&one("[4611686018427387904]", u64::MAX), u64::MAX >> 1, "");
        check(&one("[-1]", 8), 8, "");
        check(&one("[2]", 8)[..20], 8, "");
        check(&"[".repeat(100_000), 0, "");
        check(&format!(r#"{{"a":{}}}"#, "{\"x\":".repeat(100_000)), 0, "recursion limit");
        for size in [0, 7, 8, 9] {
            assert!(Header::read(&[0xff; 9][..size], size as u64).is_err(), "{size} bytes");
        }
        let claimed = Header::read(&u64::MAX.to_le_bytes()[..], 1 << 60).err().unwrap();
        assert!(claimed.contains("doesn't fit"), "{claimed}");
    }
}
