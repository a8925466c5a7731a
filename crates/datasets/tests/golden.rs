//! Rows are those that the writers of tables were given (tests/golden/datasets/make.py).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use turnwise_datasets::{read, rows};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/datasets")
}

fn golden<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(folder().join(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

#[test]
fn every_table_has_the_rows_that_were_written() {
    let expected: BTreeMap<String, Vec<Value>> = golden("expected.json");
    assert!(expected.len() >= 9);
    for (name, rows) in &expected {
        let read = read::<Value>(&folder().join(name), &BTreeMap::new()).expect(name);
        assert_eq!(read.len(), rows.len(), "{name}");
        for ((number, row), (index, expect)) in read.iter().zip(rows.iter().enumerate()) {
            assert_eq!(*number, index + 1, "{name}");
            for (column, expect) in expect.as_object().expect("a row") {
                assert_eq!(&row[column], expect, "{name}:{number}: {column}");
            }
            assert_eq!(
                row.as_object().map(serde_json::Map::len),
                expect.as_object().map(serde_json::Map::len),
                "{name}"
            );
        }
    }
}

#[derive(Debug, Deserialize)]
struct Problem {
    question: String,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is read for its faults")]
struct Shown {
    image: Value,
}

#[test]
fn a_column_that_is_not_read_matters_only_to_readers_that_need_it() {
    let (path, none) = (folder().join("partly.parquet"), BTreeMap::new());
    let questions: Vec<String> =
        read::<Problem>(&path, &none).expect("problems").into_iter().map(|(_, row)| row.question).collect();
    assert_eq!(questions, ["a?", "b?", "c?"]);
    let unread = "column image.bytes: compressed with brotli, which isn't read, \
                  column prefixes: encoded as DELTA_BYTE_ARRAY, which isn't read";
    let missing = read::<Shown>(&path, &none).expect_err("an image").to_string();
    let expect = format!("missing field `image`; its columns are answer, question (not read: {unread})");
    assert!(missing.ends_with(&format!("partly.parquet:1: {expect}")), "{missing}");
    let mapped = [("question".to_string(), "image.path".to_string())].into();
    let missing = read::<Problem>(&path, &mapped).expect_err("a path of an image").to_string();
    assert!(
        missing.contains("there is no column \"image.path\" for `question` (not read: column"),
        "{missing}"
    );
    assert!(missing.ends_with("; hint: there are answer, question"), "{missing}");
    let row = rows(&path).expect("rows").next().expect("a row").expect("that is read");
    let refused = row.whole(&path).expect_err("a whole row").to_string();
    assert!(refused.ends_with(&format!("{unread}; hint: leave the column out, or write it in another form")));
    assert!(row.is_partial() && refused.contains("partly.parquet:1: "), "{refused}");
}

#[test]
fn a_table_that_is_not_read_names_column_and_hint() {
    let refused: BTreeMap<String, String> = golden("refused.json");
    assert_eq!(refused.len(), 3);
    for (name, expect) in &refused {
        let error = read::<Value>(&folder().join(name), &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.contains(expect.as_str()) && error.contains("; hint: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
