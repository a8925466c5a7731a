//! Bytes of a file as text.

/// The mark that some programs write in front of a text in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns bytes as text, without a mark of UTF-8 at their start.
///
/// # Errors
/// The name of gzip, or the place of the first byte that isn't UTF-8.
pub fn utf8(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"\x1f\x8b") {
        return Err("compressed with gzip; hint: `gzip -dc` unpacks it".into());
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 text (byte {})", error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_skipped_and_other_bytes_named() {
        for text in ["{}", "\u{feff}{}"] {
            assert_eq!(utf8(text.into()), Ok("{}".into()));
        }
        assert_eq!(utf8(Vec::new()), Ok(String::new()));
        assert_eq!(utf8("a\u{feff}".into()), Ok("a\u{feff}".into()));
        assert_eq!(utf8(vec![b'a', 0xff]), Err("not UTF-8 text (byte 1)".into()));
        assert!(utf8(vec![0x1f, 0x8b, 8, 0]).unwrap_err().starts_with("compressed with gzip"));
    }
}
