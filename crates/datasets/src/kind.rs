//! Recognises files that aren't JSON in UTF-8 by their first bytes.

use std::path::Path;

use serde::de::IgnoredAny;

use crate::lines::MARK;

/// Characters of a line that a message shows.
const SHOWN: usize = 40;

/// First bytes of compressed files, their names, and the commands that decompress them.
const PACKED: [(&[u8], &str, &str); 8] = [
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc <"),
    (b"BZh", "bzip2", "bzip2 -dc <"),
    (b"\xfd7zXZ\0", "xz", "xz -dc <"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc <"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"PK\x05\x06", "zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
    (b"\x1f\x9d", "compress", "gzip -dc <"),
];

/// First bytes of tables, and of other files that are often taken for data.
const OTHERS: [(&[u8], &str); 9] = [
    (b"ARROW1", "an Arrow file"),
    (b"FEA1", "a Feather file"),
    (b"ORC", "an ORC file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"Obj\x01", "an Avro file"),
    (b"%PDF-", "a PDF"),
    (b"version https://git-lfs", "the pointer of Git LFS, without the file that it stands for"),
];

/// Names the kind of a file by its first bytes, with a hint. None if it may be JSON in UTF-8.
pub(crate) fn other_than_json(start: &[u8], path: &Path) -> Option<String> {
    let path = path.display();
    if let Some((_, name, command)) = PACKED.iter().find(|(magic, ..)| start.starts_with(magic)) {
        let into = if command.ends_with('<') { " > unpacked.jsonl" } else { "" };
        return Some(format!(
            "compressed with {name}; hint: `{command} {path}{into}`, and name the file that it holds"
        ));
    }
    if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        let hint = match *name {
            name if name.starts_with("the pointer") => "`git lfs pull` fetches it",
            _ => "convert it to parquet or JSON lines, as by pandas: to_parquet(FILE)",
        };
        return Some(format!("{name}; hint: {hint}"));
    }
    if let Some(name) = utf16(start) {
        return Some(format!("text in {name}; hint: save it as UTF-8, as by `iconv -f {name} -t UTF-8`"));
    }
    let text = String::from_utf8_lossy(&start[..start.len().min(256)]).trim_start().to_lowercase();
    if text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml") {
        return Some("a page of the web, not data; hint: download the file itself".into());
    }
    let is_tar = start.get(257..262) == Some(b"ustar");
    if is_tar {
        return Some(format!("a tar archive; hint: `tar -xf {path}`, and name the file that it holds"));
    }
    other_text(start)
}

/// Names a text that isn't JSON by its first line.
fn other_text(start: &[u8]) -> Option<String> {
    let line = start.strip_prefix(MARK.as_bytes()).unwrap_or(start).trim_ascii_start();
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).ok()?.trim_end();
    // Other values of JSON are named where they are read. A long line may be cut off.
    let is_json = line.starts_with(['{', '[']) || serde_json::from_str::<IgnoredAny>(line).is_ok();
    if line.is_empty() || is_json {
        return None;
    }
    let is_key = |key: &str| key.chars().all(|c| c.is_alphanumeric() || "_-\"' ".contains(c));
    let is_yaml = line == "---"
        || line.starts_with("- ")
        || line
            .split_once(':')
            .is_some_and(|(key, rest)| is_key(key) && (rest.is_empty() || rest.starts_with(' ')));
    let convert = "convert it to JSON lines or parquet";
    if is_yaml {
        return Some(format!("YAML; hint: {convert}: a row is an object"));
    }
    let separates = |separator: char| line.split(separator).count() > 1;
    if ['\t', ',', ';'].into_iter().any(separates) {
        let name = if separates('\t') { "TSV" } else { "CSV" };
        return Some(format!(
            "a table in {name}; hint: {convert}, as by pandas: read_csv(FILE).to_parquet(FILE)"
        ));
    }
    let shown: String = line.chars().take(SHOWN).collect();
    Some(format!("neither JSON nor parquet: it begins with {shown:?}; hint: one JSON object per line"))
}

/// Returns the name of the encoding of a text of two or four bytes a character, recognised by its mark or by
/// the zeros of its first character, a bracket or white space.
fn utf16(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xff, 0xfe, 0, 0, ..] | [1..=255, 0, 0, 0, ..] => Some("UTF-32LE"),
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=255, ..] => Some("UTF-32BE"),
        [0xff, 0xfe, ..] | [1..=255, 0, ..] => Some("UTF-16LE"),
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => Some("UTF-16BE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_another_kind_are_named_with_what_to_do() {
        let tar = [[b'a'; 257].as_slice(), b"ustar"].concat();
        for (start, expect) in [
            (
                &b"\x28\xb5\x2f\xfd\x04"[..],
                "compressed with zstd; hint: `zstd -dc < data.x > unpacked.jsonl`",
            ),
            (b"BZh91AY", "compressed with bzip2"),
            (b"\xfd7zXZ\0\0", "compressed with xz"),
            (b"PK\x03\x04\x14", "compressed with zip; hint: `unzip data.x`"),
            (b"ARROW1\0\0", "an Arrow file; hint: convert it to parquet or JSON lines"),
            (b"version https://git-lfs.github.com/spec/v1", "the pointer of Git LFS"),
            (b"\xff\xfe{\0", "text in UTF-16LE"),
            (b"{\0\"\0", "text in UTF-16LE"),
            (b"\xfe\xff\0{", "text in UTF-16BE"),
            (b"\n<!DOCTYPE html>", "a page of the web"),
            (&tar, "a tar archive; hint: `tar -xf data.x`"),
            (b"- messages:\n  - role: user", "YAML; hint: convert it to JSON lines or parquet"),
            (b"---\nmessages:\n- role: user", "YAML"),
            (b"\xef\xbb\xbf\nname: x\n", "YAML"),
            (
                b"messages,tools\r\n\"[]\",",
                "a table in CSV; hint: convert it to JSON lines or parquet, as by",
            ),
            (b"\"messages\",\"tools\"\n", "a table in CSV"),
            (b"name;tools\n", "a table in CSV"),
            (b"messages\ttools, or none\n", "a table in TSV"),
            (
                b"messages\n\"[{\"",
                "neither JSON nor parquet: it begins with \"messages\"; hint: one JSON object",
            ),
            (b"Hello.\n{\"a\": 1}", "neither JSON nor parquet"),
            (b"PK", "neither JSON nor parquet"),
        ] {
            let found = other_than_json(start, Path::new("data.x"));
            assert!(
                found.as_ref().is_some_and(|found| found.starts_with(expect)),
                "{found:?} is not {expect}"
            );
        }
        for start in [
            &b""[..],
            b"{",
            b"[]",
            b"\xef\xbb\xbf{",
            b"{\"a\": 1}",
            b" \n[",
            b"\xff",
            b"3",
            b"null\n",
            b"-1",
            b"\"x\"",
        ] {
            assert_eq!(other_than_json(start, Path::new("data.x")), None, "{start:?}");
        }
    }
}
