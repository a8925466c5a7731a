//! Fuzzes calls in texts of models, and files of tools.

use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};

#[path = "../../crates/tools/tests/claims/mod.rs"]
pub(crate) mod claims;

/// Checks one format, in each of its variants.
pub(crate) fn format(name: &str, bytes: &[u8]) {
    for format in claims::every_format().iter().filter(|format| format.name().split(':').next() == Some(name))
    {
        claims::hold(&**format, bytes);
    }
}

/// Checks that no division of a text into pieces changes the result of a format. The bytes hold the pieces
/// and the text.
pub(crate) fn lexer(bytes: &[u8]) {
    type Parts = (Vec<u8>, Vec<u8>);
    let Ok((cuts, text)) = Parts::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    let lengths: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut)).chain([1]).collect();
    for format in claims::every_format() {
        for opening in claims::OPENINGS {
            let whole = claims::in_pieces(&*format, opening, &text, &[text.len()]);
            assert_eq!(claims::in_pieces(&*format, opening, &text, &lengths), whole, "{}", format.name());
        }
    }
}
