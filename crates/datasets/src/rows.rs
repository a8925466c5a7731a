//! The rows of a file of any kind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use turnwise_files::{TEXT, open_within};

use crate::array::Array;
use crate::error::DataError;
use crate::gzip::{self, Unpacked};
use crate::kind;
use crate::lines::{Lines, MARK};
use crate::row::{Row, Rows};
use crate::table;

/// Bytes that tell the kind of a file.
const START: u64 = 4096;

/// Returns every row of a file as a type, with its place. Blank lines don't count. `columns`: paths by the
/// names that the type has.
///
/// # Errors
/// At the first row that isn't of the type, and for a file without a row.
pub fn read<T: DeserializeOwned>(
    path: &Path,
    columns: &BTreeMap<String, String>,
) -> Result<Vec<(usize, T)>, DataError> {
    let parse = |row: Result<Row, DataError>| {
        let row = row?;
        Ok((row.line, row.read(path, columns)?))
    };
    let records = rows(path)?.map(parse).collect::<Result<Vec<_>, DataError>>()?;
    if records.is_empty() {
        return Err(DataError::line(path, 1, "no record; hint: one JSON object per line"));
    }
    Ok(records)
}

/// Returns the rows of a file.
///
/// # Errors
/// If it can't be read, or is of a kind that isn't. Rows have their errors in their places.
pub fn rows(path: &Path) -> Result<Rows, DataError> {
    let file = open_within(path, TEXT).map_err(|source| DataError::unreadable(path, source))?;
    let unreadable = |source| DataError::unreadable(path, source);
    let (start, plain) = started(file).map_err(unreadable)?;
    if table::is_one(&start) {
        return table::rows(path);
    }
    if !gzip::is_one(&start) {
        return texts(path, &start, plain, false);
    }
    let (start, unpacked) = started(Unpacked::new(plain)).map_err(|error| gzip::damaged(path, 1, &error))?;
    if table::is_one(&start) {
        let message = "a parquet file in gzip; hint: `gunzip` it, its pages are compressed already";
        return Err(DataError::line(path, 1, message));
    }
    texts(path, &start, unpacked, true)
}

/// Returns the first bytes, and a reader of all bytes.
fn started<R: Read>(mut from: R) -> std::io::Result<(Vec<u8>, impl BufRead)> {
    let mut start = Vec::new();
    from.by_ref().take(START).read_to_end(&mut start)?;
    let whole = Cursor::new(start.clone()).chain(from);
    Ok((start, BufReader::with_capacity(1 << 16, whole)))
}

fn texts(path: &Path, start: &[u8], text: impl BufRead + 'static, packed: bool) -> Result<Rows, DataError> {
    if let Some(message) = kind::other_than_json(start, path) {
        return Err(DataError::line(path, 1, message));
    }
    let start = start.strip_prefix(MARK.as_bytes()).unwrap_or(start);
    Ok(if start.trim_ascii_start().starts_with(b"[") {
        Box::new(Array::new(path, text, packed))
    } else {
        Box::new(Lines::new(path, text, packed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    struct Record {
        #[allow(dead_code)]
        a: i64,
    }

    fn check(content: &[u8], expect: Result<&[usize], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, content).unwrap();
        for content in [content, &packed.finish().unwrap()] {
            std::fs::write(&path, content).unwrap();
            match (read::<Record>(&path, &BTreeMap::new()), expect) {
                (Ok(records), Ok(lines)) => {
                    assert_eq!(records.iter().map(|(line, _)| *line).collect::<Vec<_>>(), lines);
                }
                (Err(error), Err(message)) => {
                    let text = error.to_string();
                    assert!(text.contains(&format!("data.jsonl:{message}")), "{text}");
                    assert_eq!(text.lines().count(), 1);
                }
                (found, expect) => panic!("{found:?} is not {expect:?}"),
            }
        }
    }

    #[test]
    fn records_have_lines_and_so_do_errors() {
        check(b"{\"a\":1}\n\n{\"a\":2}\r\n", Ok(&[1, 3]));
        check("\u{feff}{\"a\":1}".as_bytes(), Ok(&[1]));
        check("\u{feff}{\"a\":1}\n\u{feff}{\"a\":2}\n\u{feff}".as_bytes(), Ok(&[1, 2]));
        check("\u{feff}\n [{\"a\":1},{\"a\":2}]".as_bytes(), Ok(&[2, 2]));
        check(b"[\n {\"a\":1},\n {\"a\":\n 2}\n]\n", Ok(&[2, 3]));
        check(b"[{\"a\":1, \"b\": \"}\\\"]\"},\n{\"a\":2,\"c\":[{}]},]", Ok(&[1, 2]));
        check(b"[]", Err("1: no record"));
        check(b"", Err("1: no record"));
        check(b"{\"a\":1}\n{\"a\":", Err("2: the JSON ends where a value is due"));
        check(b"{\"a\":1}\n{\"b\":1}", Err("2: missing field `a`"));
        check(b"{\"a\":1}\n{\"a\":\"x\"}", Err("2: the text \"x\", expected a whole number"));
        check(b"[\n {\"a\":1},\n {\"a\":\n x}\n]", Err("4: no value of JSON"));
        check(b"[\n {\"a\":1}\n {\"a\":2}]", Err("3: expected `,` or `]`"));
        check(b"[\n {\"a\":1},\n", Err("2: the file ends"));
        check(b"[\n {\"a\":1", Err("2: the JSON ends inside an object"));
        check(b"[,\n {\"a\":1}]", Err("1: expected a record"));
        check(b"[{\"a\":1}}, {\"a\":1}]", Err("1: expected `,` or `]`"));
        check(b"[1 2]", Err("1: more text behind the value"));
        check(b"{\"a\":1}\n\xff", Err("2: not UTF-8"));
        check(b"[{\"a\":1},\n{\"b\":\"x\xff\"}]", Err("2: not UTF-8 after \"{\\\"b\\\":\\\"x\""));
        check(b"[{\"a\":1}]\n{\"a\":2}", Err("2: more text after the array"));
        check(
            b"{\"a\":1},\n{\"a\":2}",
            Err("1: more text behind the value (column 8); hint: one record per line"),
        );
        check(
            b"{\n\"a\":1\n}",
            Err("1: the JSON ends inside an object (column 1); hint: a record has one line"),
        );
    }

    #[test]
    fn a_missing_file_is_named_with_a_hint() {
        let error = read::<Record>(Path::new("no/such.jsonl"), &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with("no/such.jsonl: ") && error.contains("hint: "), "{error}");
    }

    #[test]
    fn a_small_file_that_unpacks_to_much_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.jsonl.gz");
        for line in ["", "[", "{\"a\": \""] {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut packed, line.as_bytes()).unwrap();
            for _ in 0..80 {
                std::io::Write::write_all(&mut packed, &vec![b'7'; 1 << 20]).unwrap();
            }
            let bytes = packed.finish().unwrap();
            assert!(bytes.len() < 1 << 20);
            std::fs::write(&path, &bytes).unwrap();
            let error = read::<Record>(&path, &BTreeMap::new()).unwrap_err().to_string();
            assert!(error.ends_with("gz:1: the row has more than 64 MiB; hint: leave it out"), "{error}");
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            let error = read::<Record>(&path, &BTreeMap::new()).unwrap_err().to_string();
            assert!(error.contains("gz:1: ") && error.lines().count() == 1, "{error}");
        }
    }
}
