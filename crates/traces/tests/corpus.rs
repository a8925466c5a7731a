//! The committed inputs of the fuzz target `traces`, without a fuzzer.

#[path = "claims/mod.rs"]
mod claims;
#[path = "../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn whatever_a_file_holds_is_kept_or_refused() {
    corpus::replay("traces", claims::hold);
}
