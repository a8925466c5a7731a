//! Files that are damaged, or made to break their reader.

mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

use std::path::{Path, PathBuf};

use turnwise_datasets::rows;

#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    corpus::replay("data_file", |bytes| claims::hold(bytes, folder.path()));
}

fn tables() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/datasets");
    let files = std::fs::read_dir(folder).expect("golden tables").map(|entry| entry.expect("a file").path());
    let mut tables: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "parquet")).collect();
    tables.sort();
    assert!(tables.len() > 9);
    tables
}

/// The next number of a linear congruential generator.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn a_damaged_table_is_an_error_or_other_rows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut state = 1;
    for path in tables() {
        let whole = std::fs::read(&path).expect("a table");
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..=next(&mut state) % 3 {
                let at = next(&mut state) % bytes.len();
                bytes[at] = next(&mut state) as u8;
            }
            claims::hold(&bytes, folder.path());
        }
        for _ in 0..20 {
            claims::hold(&whole[..next(&mut state) % whole.len()], folder.path());
        }
    }
}

/// A table that is a description alone.
fn described(description: &[u8]) -> Vec<u8> {
    let length = (description.len() as u32).to_le_bytes();
    [b"PAR1", description, &length, b"PAR1"].concat()
}

/// The number in thrift's compact form.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Elements of a schema with these numbers of children.
fn schema(children: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0x15, 2, 0x19, 0xfc];
    bytes.extend(varint(children.len() as u64));
    for &children in children {
        // Repetition, name, children.
        bytes.extend([0x35, 0, 0x18, 1, b'a', 0x15]);
        bytes.extend(varint(children * 2));
        bytes.push(0);
    }
    bytes
}

#[test]
fn what_a_table_states_of_itself_costs_no_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("t.parquet");
    let huge = varint(u64::MAX);
    for (description, expect) in [
        (schema(&vec![1; 100_000]), "columns and groups"),
        (schema(&vec![1; 5_000]), "more than 64 levels"),
        (schema(&[1 << 30]), "damaged or cut short"),
        ([&[0x15, 2, 0x19, 0xfc][..], &huge].concat(), "damaged or cut short"),
        // The schema after a field that hides it.
        ([&[0x48, 0][..], &schema(&[1 << 30])].concat(), "damaged or cut short"),
        // A field with another type than its own.
        ([&[0x15, 2, 0x15, 2][..], &[0]].concat(), "damaged or cut short"),
        (Vec::new(), "damaged or cut short"),
    ] {
        std::fs::write(&path, described(&description)).expect("a temporary file");
        let error = rows(&path).err().expect(expect).to_string();
        assert!(error.contains(expect) && error.contains("; hint: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    for bytes in [&b"PAR1"[..], b"PAR1\xff\xff\xff\xffPAR1", b"PAR1\0\0\0\0PARE", b"PAR1PAR1"] {
        claims::hold(bytes, folder.path());
    }
}
