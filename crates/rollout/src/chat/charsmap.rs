//! Checks SentencePiece's compiled map of characters, `precompiled_charsmap`, which a tokenizer follows
//! unchecked. It is a double array of units and their replacement texts.

use std::collections::HashSet;

use serde_json::Value as Json;

/// Most bytes that a byte of text may grow to.
const MOST_GROWTH: usize = 64;

/// Checks every map of a tokenizer's normalizers. The error says in half a sentence what is wrong.
pub(super) fn check(tokenizer: &Json) -> Result<(), String> {
    one(&tokenizer["normalizer"])
}

fn one(normalizer: &Json) -> Result<(), String> {
    match &normalizer["precompiled_charsmap"] {
        Json::String(text) => {
            let bytes = from_base64(text).ok_or("its map of characters is not base64")?;
            map(&bytes)?;
        }
        Json::Null => {}
        _ => return Err("its map of characters is not a text".into()),
    }
    normalizer["normalizers"].as_array().into_iter().flatten().try_for_each(one)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in four {
            bits = bits << 6 | u32::from(value(*byte)?);
        }
        bits <<= 6 * (4 - four.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

/// Follows every path through the units.
fn map(bytes: &[u8]) -> Result<(), String> {
    let number = |at: usize| -> Option<usize> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
    };
    let size = number(0).ok_or("its map of characters is cut off")?;
    let Some(texts) = bytes.get(4 + size / 4 * 4..) else {
        return Err(format!("its map of characters has {} bytes and claims {size}", bytes.len()));
    };
    let texts = std::str::from_utf8(texts).map_err(|_| "its texts are not UTF-8")?;
    let unit = |at: usize| if at < size / 4 { number(4 + 4 * at) } else { None };
    let outside = "its map of characters leads outside of itself";
    let offset = |unit: usize| (unit >> 10) << ((unit & (1 << 9)) >> 6);
    let mut seen = HashSet::new();
    let mut left = vec![(offset(unit(0).ok_or(outside)?), 1)];
    while let Some((node, depth)) = left.pop() {
        if !seen.insert(node) {
            continue;
        }
        for byte in 1..=0xFF {
            let at = node ^ byte;
            let found = unit(at).ok_or(outside)?;
            if found & (1 << 31 | 0xFF) != byte {
                continue;
            }
            let next = at ^ offset(found);
            if found >> 8 & 1 == 1 {
                let value = unit(next).ok_or(outside)? & ((1 << 31) - 1);
                let text = texts.get(value..).ok_or("its map leads outside of its texts")?;
                let length = text.find('\0').unwrap_or(text.len());
                if length > MOST_GROWTH * depth {
                    return Err(format!("its map makes {length} bytes out of {depth}"));
                }
            }
            left.push((next, depth + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns a map from the letter `a` to this text.
    fn bytes(text: &str) -> Vec<u8> {
        let mut units = vec![0_u32; 512];
        // The root leads to the block of units that begins at 256.
        units[0] = 256 << 10;
        let a = 256 ^ usize::from(b'a');
        // It has a leaf, which lies at the start of the first block.
        units[a] = ((a as u32) << 10) | (1 << 8) | u32::from(b'a');
        let mut out = (4 * units.len() as u32).to_le_bytes().to_vec();
        out.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        out.extend(text.as_bytes());
        out
    }

    #[test]
    fn a_map_leads_nowhere_but_to_its_texts() {
        assert!(map(&[]).is_err());
        assert!(map(&u32::MAX.to_le_bytes()).unwrap_err().contains("claims 4294967295"));
        assert!(map(&[0; 4]).unwrap_err().contains("outside of itself"));
        assert!(map(&bytes("")).unwrap_err().contains("outside of its texts"), "the value is the root's");
        let mut short = 4_u32.to_le_bytes().to_vec();
        short.extend((1_u32 << 20).to_le_bytes());
        assert!(map(&short).unwrap_err().contains("outside of itself"));
        let sequence = json!({"normalizer": {"type": "Sequence", "normalizers":
            [{"type": "NFC"}, {"type": "Precompiled", "precompiled_charsmap": "____"}]}});
        assert!(check(&sequence).unwrap_err().contains("not base64"));
        assert_eq!(check(&json!({"normalizer": {"type": "NFC"}})), Ok(()));
        assert_eq!(check(&json!({})), Ok(()));
    }

    #[test]
    fn base64_is_read() {
        let check = |text: &str, expect: &[u8]| assert_eq!(from_base64(text).unwrap(), expect);
        check("", b"");
        check("TQ==", b"M");
        check("TWE=", b"Ma");
        check("TWFu", b"Man");
    }
}
