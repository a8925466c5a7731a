//! Reads the committed inputs of a fuzz target, for the tests that replay them without a fuzzer.

use std::path::Path;

/// Calls `hold` with every input of a target, and with its file's name for the message of a failure.
pub(crate) fn replay(target: &str, hold: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut held = 0;
    for entry in std::fs::read_dir(&folder).expect("a folder of inputs") {
        let path = entry.expect("a readable folder").path();
        println!("{}", path.display());
        hold(&std::fs::read(&path).expect("a readable input"));
        held += 1;
    }
    assert!(held > 2, "{target}: {held} inputs");
}
