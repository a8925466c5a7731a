//! Replays data sets that fuzzing found.

mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn the_corpus_of_the_fuzz_target_holds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    corpus::replay("data_set", |bytes| claims::hold(bytes, folder.path()));
}
