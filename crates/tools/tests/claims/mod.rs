//! What must hold of every format on any bytes. The fuzz targets and the replay of their corpora check the same.

use turnwise_tools::format::{CallFormat, Found, Opening};
use turnwise_tools::{FormatName, ToolSpec};

/// Every format in every variant.
pub(crate) fn every_format() -> Vec<Box<dyn CallFormat>> {
    FormatName::ALL.into_iter().map(FormatName::build).collect()
}

/// Every way to begin.
pub(crate) const OPENINGS: [Opening; 3] = [Opening::Answer, Opening::Thought, Opening::Unknown];

/// What a lexer finds in a text that comes in pieces of these lengths, as often as they are needed.
pub(crate) fn in_pieces(
    format: &dyn CallFormat,
    opening: Opening,
    bytes: &[u8],
    lengths: &[usize],
) -> Vec<Found> {
    let (mut lexer, mut found, mut rest) = (format.lexer_from(opening), Vec::new(), bytes);
    for length in lengths.iter().cycle().map(|length| length.max(&1)) {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*length));
        found.extend(lexer.push(piece));
        rest = after;
    }
    found.extend(lexer.finish());
    found
}

/// Fails if a format breaks its word on these bytes: pieces and the whole agree, spans lie in the text in order, and
/// a valid call survives being written and read again.
pub(crate) fn hold(format: &dyn CallFormat, bytes: &[u8]) {
    // The lengths come from the text, so that the same text is always cut the same way.
    let lengths: Vec<usize> = bytes.iter().take(16).map(|byte| usize::from(byte % 7)).chain([3]).collect();
    for opening in OPENINGS {
        let whole = in_pieces(format, opening, bytes, &[bytes.len()]);
        assert_eq!(
            in_pieces(format, opening, bytes, &lengths),
            whole,
            "{} in pieces, {opening:?}",
            format.name()
        );
        assert_eq!(in_pieces(format, opening, bytes, &[1]), whole, "{} by bytes, {opening:?}", format.name());
        let mut last = 0;
        for found in &whole {
            let span = found.span();
            let in_order = span.start >= last && span.start < span.end && span.end <= bytes.len();
            assert!(in_order, "{}: {span:?} after {last} of {}", format.name(), bytes.len());
            last = span.start;
            assert!(found.verdict.is_err() || found.recovered.is_none(), "{}", format.name());
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    format.parse_checked(text, &[ToolSpec::python()]);
    let whole = in_pieces(format, Opening::Answer, bytes, &[bytes.len()]);
    for call in whole.into_iter().filter_map(|found| found.verdict.ok()) {
        let written = format.render(&call);
        let read = format.parse(&written);
        let again: Vec<_> = read.iter().map(|call| call.as_ref().map(|c| (&c.name, &c.arguments))).collect();
        assert_eq!(again, [Ok((&call.name, &call.arguments))], "{}: {written}", format.name());
    }
}
