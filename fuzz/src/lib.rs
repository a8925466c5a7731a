//! What the fuzz targets share. The claims themselves are those of the library's own tests.

#[path = "../../crates/tools/tests/claims/mod.rs"]
mod claims;
// Of turnwise-model only what knows nothing of tensors: Burn would take minutes to compile.
#[allow(dead_code)]
#[path = "../../crates/model/src/config.rs"]
mod config;
#[allow(dead_code)]
#[path = "../../crates/model/src/family/mod.rs"]
mod family;
pub mod model_files;
#[allow(dead_code)]
#[path = "../../crates/model/src/safetensors_header.rs"]
mod safetensors_header;

/// Checks one format, in each of its variants.
pub fn format(name: &str, bytes: &[u8]) {
    for format in claims::every_format().iter().filter(|format| format.name().split(':').next() == Some(name))
    {
        claims::hold(&**format, bytes);
    }
}

/// Checks that no way to cut the bytes makes a difference to any format.
pub fn lexer(cuts: &[u8], bytes: &[u8]) {
    let lengths: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut)).chain([1]).collect();
    for format in claims::every_format() {
        for opening in claims::OPENINGS {
            let whole = claims::in_pieces(&*format, opening, bytes, &[bytes.len()]);
            assert_eq!(claims::in_pieces(&*format, opening, bytes, &lengths), whole, "{}", format.name());
        }
    }
}
