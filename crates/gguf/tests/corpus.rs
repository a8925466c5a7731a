//! The committed inputs of the fuzz target `gguf`, without a fuzzer.

mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn whatever_a_file_holds_is_converted_or_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    corpus::replay("gguf", |bytes| claims::hold(bytes, folder.path()));
}
