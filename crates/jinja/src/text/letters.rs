//! Letters and words as in Python's `str`.

use crate::read::lexer::is_space;

/// Splits lines, with or without their ends.
pub(crate) fn lines(text: &str, keep: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    }) {
        let end = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        lines.push(&rest[..if keep { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Appends a letter at the beginning of a word.
fn titled(c: char, out: &mut String) {
    // Letters that stand for two have a third form, in which only the first is a capital.
    match c {
        'Ǆ'..='ǆ' => return out.push('ǅ'),
        'Ǉ'..='ǉ' => return out.push('ǈ'),
        'Ǌ'..='ǌ' => return out.push('ǋ'),
        'Ǳ'..='ǳ' => return out.push('ǲ'),
        _ => {}
    }
    let mut upper = c.to_uppercase();
    out.extend(upper.next());
    // `ß` becomes `Ss`.
    upper.for_each(|c| out.extend(c.to_lowercase()));
}

pub(crate) fn capitalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    if let Some(first) = letters.next() {
        titled(first, &mut out);
    }
    out + &letters.as_str().to_lowercase()
}

/// Capitalises every word: `str.title`.
pub(crate) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        let cased = c.is_uppercase() || c.is_lowercase();
        if cased && !inside {
            titled(c, &mut out);
        } else {
            out.extend(c.to_lowercase());
        }
        inside = cased;
    }
    out
}

pub(crate) fn swapped(text: &str) -> String {
    text.chars()
        .flat_map(|c| -> Vec<char> {
            if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
        })
        .collect()
}

/// Returns whether there are cased letters, all of this case.
pub(crate) fn all_cased(text: &str, upper: bool) -> bool {
    let is = |c: char, upper: bool| if upper { c.is_uppercase() } else { c.is_lowercase() };
    text.chars().any(|c| is(c, upper)) && !text.chars().any(|c| is(c, !upper))
}

pub(crate) fn is_title(text: &str) -> bool {
    text.chars().any(|c| c.is_uppercase() || c.is_lowercase()) && title(text) == text
}

/// Splits at `most` separators at most, counted from the left or from the right.
pub(crate) fn split<'t>(
    text: &'t str,
    separator: Option<&str>,
    most: i128,
    from_right: bool,
) -> Vec<&'t str> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match (separator, from_right) {
        (Some(separator), false) => text.splitn(most.saturating_add(1), separator).collect(),
        (Some(separator), true) => {
            let mut pieces: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
            pieces.reverse();
            pieces
        }
        (None, false) => {
            let mut pieces = Vec::new();
            let mut rest = text.trim_start_matches(is_space);
            while !rest.is_empty() {
                let end = if pieces.len() == most { None } else { rest.find(is_space) };
                let Some(end) = end else {
                    let whole = if pieces.len() == most { rest.trim_end_matches(is_space) } else { rest };
                    // The rest keeps its inner and trailing white space.
                    pieces.push(if pieces.len() == most { rest } else { whole });
                    break;
                };
                pieces.push(&rest[..end]);
                rest = rest[end..].trim_start_matches(is_space);
            }
            pieces
        }
        (None, true) => {
            let mut pieces = Vec::new();
            let mut rest = text.trim_end_matches(is_space);
            while !rest.is_empty() {
                let start = if pieces.len() == most {
                    None
                } else {
                    rest.char_indices().rev().find(|(_, c)| is_space(*c)).map(|(at, c)| at + c.len_utf8())
                };
                let Some(start) = start else {
                    pieces.push(rest);
                    break;
                };
                pieces.push(&rest[start..]);
                rest = rest[..start].trim_end_matches(is_space);
            }
            pieces.reverse();
            pieces
        }
    }
}

/// Removes these characters, or white space, from the ends of a text.
pub(crate) fn stripped<'t>(text: &'t str, characters: Option<&str>, left: bool, right: bool) -> &'t str {
    let strips = |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    let text = if left { text.trim_start_matches(strips) } else { text };
    if right { text.trim_end_matches(strips) } else { text }
}

/// Replaces the first `most` occurrences of `old` by `new`.
pub(crate) fn replaced(text: &str, old: &str, new: &str, most: i128) -> String {
    match usize::try_from(most) {
        Ok(most) => text.replacen(old, new, most),
        Err(_) => text.replace(old, new),
    }
}
