//! Holds properties of every format on any bytes. The fuzz targets and the replay of their corpora check the
//! same.

use serde_json::{Map, Value};
use turnwise_tools::format::{CallFormat, Found, Opening};
use turnwise_tools::{FormatName, ToolSpec, spec_file};
use turnwise_trajectory::ToolCall;

/// Returns every format in every variant.
pub(crate) fn every_format() -> Vec<Box<dyn CallFormat>> {
    FormatName::ALL.into_iter().map(FormatName::build).collect()
}

/// All beginnings of a completion.
pub(crate) const OPENINGS: [Opening; 3] = [Opening::Answer, Opening::Thought, Opening::Unknown];

/// Returns the calls of a text that comes in pieces of these lengths, repeated.
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

/// Holds that pieces and the whole agree, that spans are ordered and inside the text, and that a valid call
/// survives writing and reading.
pub(crate) fn hold(format: &dyn CallFormat, bytes: &[u8]) {
    // The lengths come from the text, so that a text is always cut the same way.
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

/// Holds that no file of tools breaks its reader, its description or the check of a call, and that its tools
/// survive writing and reading.
pub(crate) fn tool_file(bytes: &[u8]) {
    let Ok(tools) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(tools) = spec_file::tools(&tools) else { return };
    let written = serde_json::to_value(&tools).expect("tools are JSON");
    assert_eq!(spec_file::tools(&written).as_ref(), Ok(&tools));
    for format in every_format() {
        format.describe(&tools);
        for tool in &tools {
            let names = tool.parameters["properties"].as_object().into_iter().flatten();
            let arguments: Map<String, Value> = names.map(|(name, _)| (name.clone(), "1".into())).collect();
            let call = ToolCall { name: tool.name.clone(), arguments, span: 0..0 };
            format.parse_checked(&format.render(&call), &tools);
        }
    }
}
