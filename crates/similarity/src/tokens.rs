//! Splits program text into tokens, for measures that compare tokens.

/// Returns the tokens: identifiers, numbers, and any other single character that is not white space.
pub(crate) fn tokens(code: &str) -> Vec<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices() {
        if word(c) {
            start.get_or_insert(at);
            continue;
        }
        tokens.extend(start.take().map(|s| &code[s..at]));
        if !c.is_whitespace() {
            tokens.push(&code[at..at + c.len_utf8()]);
        }
    }
    tokens.extend(start.map(|s| &code[s..]));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_words_and_single_signs() {
        let check = |code: &str, expect: &[&str]| assert_eq!(tokens(code), expect);
        check("x_1 = f(2.5)", &["x_1", "=", "f", "(", "2", ".", "5", ")"]);
        check("größe→1", &["größe", "→", "1"]);
        check(" \n", &[]);
    }
}
