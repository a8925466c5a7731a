//! Rows are those that the writers of tables were given (tests/golden/datasets/make.py).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use turnwise_datasets::read;

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
