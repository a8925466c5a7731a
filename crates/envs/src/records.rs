//! Data files: JSON lines, or one JSON array, in UTF-8 with or without a mark. A broken record is one line
//! with file, line and reason; a file of another kind is named.

mod kind;

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};
use turnwise_files::{TEXT, open_within};

use crate::env::EnvError;

const READ_HINT: &str =
    "data isn't shipped with the project: put the file there, or change the path in the run file";
const UTF8_HINT: &str = "hint: save the file as UTF-8";
/// The mark that some programs write in front of a text in UTF-8.
const MARK: &str = "\u{feff}";

/// A record's text and the line that it starts on, from 1, or why the next one can't be read.
type Record = Result<(usize, String), EnvError>;

/// Returns every record of a file with the line that it starts on, from 1. Blank lines don't count.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, EnvError> {
    let parse = |record: Record| {
        let (line, text) = record?;
        let wrong = |error: serde_json::Error| {
            line_error(
                path,
                line + error.line().max(1) - 1,
                format!("{}{}", reason(&error), hint(&text, &error)),
            )
        };
        serde_json::from_str(&text).map(|record| (line, record)).map_err(wrong)
    };
    let records = texts(path)?.map(parse).collect::<Result<Vec<_>, _>>()?;
    if records.is_empty() {
        return Err(line_error(path, 1, "no record; hint: one JSON object per line"));
    }
    Ok(records)
}

/// Returns the texts of a file's records. Records of one line each are read on demand.
pub(crate) fn texts(path: &Path) -> Result<Box<dyn Iterator<Item = Record>>, EnvError> {
    let owner = path.to_path_buf();
    let unreadable = move |source| EnvError::Read { path: owner.clone(), source, hint: READ_HINT };
    let mut file = BufReader::with_capacity(1 << 16, open_within(path, TEXT).map_err(&unreadable)?);
    let start = file.fill_buf().map_err(&unreadable)?;
    if let Some(message) = kind::other_than_json(start, path) {
        return Err(line_error(path, 1, message));
    }
    let start = start.strip_prefix(MARK.as_bytes()).unwrap_or(start);
    let is_array = start.trim_ascii_start().starts_with(b"[");
    let owner = path.to_path_buf();
    let lines = (1..).zip(file.split(b'\n')).map(move |(number, line)| {
        let line = line.map_err(&unreadable)?;
        let text = String::from_utf8(line).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let shown = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            line_error(&owner, number, format!("not UTF-8 after {:?}; {UTF8_HINT}", ending(&shown)))
        })?;
        // Files that were put together have one at each seam.
        Ok((
            number,
            match text.strip_prefix(MARK) {
                Some(rest) => rest.to_string(),
                None => text,
            },
        ))
    });
    if is_array {
        let lines = lines.map(|line| line.map(|(_, text)| text)).collect::<Result<Vec<_>, _>>()?;
        return Ok(Box::new(array(path, &lines.join("\n"))?.into_iter().map(Ok)));
    }
    Ok(Box::new(lines.filter(|line| !line.as_ref().is_ok_and(|(_, text)| text.trim().is_empty()))))
}

/// Returns an error of one line.
pub(crate) fn line_error(path: &Path, line: usize, message: impl Into<String>) -> EnvError {
    EnvError::Line { path: path.into(), line, message: message.into() }
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// Reads element by element, because only so each has its line.
fn array(path: &Path, text: &str) -> Result<Vec<(usize, String)>, EnvError> {
    let (before, mut rest) = text.split_once('[').expect("the caller saw it");
    let mut line = 1 + newlines(before);
    let mut records = Vec::new();
    loop {
        rest = skip(rest, gap(rest), &mut line);
        if let Some(behind) = rest.strip_prefix(']') {
            return match behind.trim() {
                "" => Ok(records),
                _ => Err(line_error(
                    path,
                    line,
                    "more text after the array; hint: one array, or one object per line",
                )),
            };
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match stream.next() {
            Some(Ok(_)) => records.push((line, rest[..stream.byte_offset()].to_string())),
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

/// Returns the text after these bytes. Lines are counted piece by piece: from the start each time, a file
/// would take the square of its length.
fn skip<'a>(text: &'a str, bytes: usize, line: &mut usize) -> &'a str {
    *line += newlines(&text[..bytes]);
    &text[bytes..]
}

/// Returns the bytes of white space at the start.
fn gap(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Says how to mend a line that isn't one record.
fn hint(text: &str, error: &serde_json::Error) -> &'static str {
    let text = text.trim();
    if error.is_eof() && (text.starts_with('{') || text.starts_with('[')) {
        "; hint: a record has one line, or all of them are in one array"
    } else if error.to_string().starts_with("trailing characters") {
        "; hint: one record per line, with nothing behind it"
    } else {
        ""
    }
}

/// Returns the last characters of a text.
fn ending(text: &str) -> &str {
    text.char_indices().rev().nth(19).map_or(text, |(at, _)| &text[at..])
}

/// Returns the reason without serde's own position, which counts within the record.
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
        check("\u{feff}{\"a\":1}\n\u{feff}{\"a\":2}\n\u{feff}".as_bytes(), Ok(&[1, 2]));
        check("\u{feff}\n [{\"a\":1},{\"a\":2}]".as_bytes(), Ok(&[2, 2]));
        check(b"[\n {\"a\":1},\n {\"a\":\n 2}\n]\n", Ok(&[2, 3]));
        check(b"[]", Err("1: no record"));
        check(b"", Err("1: no record"));
        check(b"{\"a\":1}\n{\"a\":", Err("2: EOF while parsing a value"));
        check(b"{\"a\":1}\n{\"b\":1}", Err("2: missing field `a`"));
        check(b"{\"a\":1}\n{\"a\":\"x\"}", Err("2: invalid type: string \"x\", expected i64"));
        check(b"[\n {\"a\":1},\n {\"a\":\n x}\n]", Err("4: expected value"));
        check(b"[\n {\"a\":1}\n {\"a\":2}]", Err("3: expected `,` or `]`"));
        check(b"[\n {\"a\":1},\n", Err("2: the file ends"));
        check(b"{\"a\":1}\n\xff", Err("2: not UTF-8"));
        check(b"[{\"a\":1}]\n{\"a\":2}", Err("1: more text after the array"));
        check(b"{\"a\":1},\n{\"a\":2}", Err("1: trailing characters (column 8); hint: one record per line"));
        check(
            b"{\n\"a\":1\n}",
            Err("1: EOF while parsing an object (column 1); hint: a record has one line"),
        );
    }

    #[test]
    fn a_missing_file_is_named_with_a_hint() {
        let error = read::<Record>(Path::new("no/such.jsonl")).unwrap_err().to_string();
        assert!(error.starts_with("no/such.jsonl: ") && error.contains("hint: "), "{error}");
    }
}
