//! Data files: JSON lines, or one JSON array. A broken record is one line with file, line and reason.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::env::EnvError;

/// Every record of a file with the line that it starts on, from 1. Blank lines don't count.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, EnvError> {
    let bytes = std::fs::read(path).map_err(|source| {
        let hint =
            "data isn't shipped with the project: put the file there, or change the path in the run file";
        EnvError::Read { path: path.into(), source, hint }
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        line_error(
            path,
            1 + newlines(&valid),
            "not UTF-8; hint: is this a text file, and not a compressed one?",
        )
    })?;
    let text = text.trim_start_matches('\u{feff}');
    let records = if text.trim_start().starts_with('[') { array(path, text) } else { lines(path, text) }?;
    if records.is_empty() {
        return Err(line_error(path, 1, "no record; hint: one JSON object per line"));
    }
    Ok(records)
}

/// An error of one line.
pub(crate) fn line_error(path: &Path, line: usize, message: impl Into<String>) -> EnvError {
    EnvError::Line { path: path.into(), line, message: message.into() }
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

fn lines<T: DeserializeOwned>(path: &Path, text: &str) -> Result<Vec<(usize, T)>, EnvError> {
    let written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    written
        .map(|(at, line)| {
            let record =
                serde_json::from_str(line).map_err(|error| line_error(path, at + 1, reason(&error)))?;
            Ok((at + 1, record))
        })
        .collect()
}

/// Reads element by element, because only so each has its line.
fn array<T: DeserializeOwned>(path: &Path, text: &str) -> Result<Vec<(usize, T)>, EnvError> {
    let (before, mut rest) = text.split_once('[').expect("the caller saw it");
    let mut line = 1 + newlines(before);
    let mut records = Vec::new();
    loop {
        rest = skip(rest, gap(rest), &mut line);
        if rest.starts_with(']') {
            return Ok(records);
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter();
        match stream.next() {
            Some(Ok(record)) => records.push((line, record)),
            Some(Err(error)) => return Err(line_error(path, line + error.line().max(1) - 1, reason(&error))),
            None => return Err(line_error(path, line, "the file ends inside the array")),
        }
        let end = stream.byte_offset();
        rest = skip(rest, end, &mut line);
        rest = skip(rest, gap(rest), &mut line);
        match rest.chars().next() {
            Some(',') => rest = &rest[1..],
            Some(']') => {}
            _ => return Err(line_error(path, line, "expected `,` or `]` after a record")),
        }
    }
}

/// The text after these bytes. Lines are counted piece by piece: from the start each time, a file would take the square
/// of its length.
fn skip<'a>(text: &'a str, bytes: usize, line: &mut usize) -> &'a str {
    *line += newlines(&text[..bytes]);
    &text[bytes..]
}

/// Bytes of white space at the start.
fn gap(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The reason without serde's own position, which counts within the record.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let bare = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    format!("{bare} (column {})", error.column())
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
        std::fs::write(&path, content).unwrap();
        match (read::<Record>(&path), expect) {
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

    #[test]
    fn records_have_lines_and_so_do_errors() {
        check(b"{\"a\":1}\n\n{\"a\":2}\r\n", Ok(&[1, 3]));
        check("\u{feff}{\"a\":1}".as_bytes(), Ok(&[1]));
        check(b"[\n {\"a\":1},\n {\"a\":\n 2}\n]\n", Ok(&[2, 3]));
        check(b"[]", Err("1: no record"));
        check(b"", Err("1: no record"));
        check(b"{\"a\":1}\n{\"a\":", Err("2: EOF while parsing a value"));
        check(b"{\"a\":1}\n{\"b\":1}", Err("2: missing field `a`"));
        check(b"{\"a\":1}\n{\"a\":\"x\"}", Err("2: invalid type: string \"x\", expected i64"));
        check(b"[\n {\"a\":1},\n {\"a\":\n x}\n]", Err("4: expected value"));
        check(b"[\n {\"a\":1}\n {\"a\":2}]", Err("3: expected `,` or `]`"));
        check(b"[\n {\"a\":1},\n", Err("3: the file ends"));
        check(b"{\"a\":1}\n\xff", Err("2: not UTF-8"));
    }

    #[test]
    fn a_missing_file_is_named_with_a_hint() {
        let error = read::<Record>(Path::new("no/such.jsonl")).unwrap_err().to_string();
        assert!(error.starts_with("no/such.jsonl: ") && error.contains("hint: "), "{error}");
    }
}
