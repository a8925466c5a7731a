//! Brings questions into a form that is equal for equal questions, however they are written.

use unicode_normalization::UnicodeNormalization;

/// Returns a text without case, spacing, Unicode forms and punctuation that change no question.
///
/// Marks of a number or a formula stay: `2.5`, `5%`, `3-4`, and brackets in a formula.
pub(crate) fn normal(text: &str) -> String {
    // Upper case first, because `ß` and `SS` are equal only there.
    let text: String = text.nfkc().collect::<String>().to_uppercase().to_lowercase();
    let text: Vec<char> =
        text.chars().filter(|c| !is_nothing(*c)).map(|c| if is_dash(c) { '-' } else { c }).collect();
    let formal = (0..text.len()).any(|at| is_operator(&text, at));
    let mut normal = String::with_capacity(text.len());
    for (at, &c) in text.iter().enumerate() {
        match c {
            ',' if is_between_thousands(&text, at) => {}
            '.' | ',' if is_in_number(&text, at) => normal.push(c),
            '+' | '=' | '<' | '>' | '^' | '$' | '%' => normal.extend([' ', c, ' ']),
            '-' | '*' | '/' if is_operator(&text, at) => normal.extend([' ', c, ' ']),
            '(' | ')' | '[' | ']' | '{' | '}' | '!' if formal => normal.extend([' ', c, ' ']),
            _ if is_punctuation(c) => normal.push(' '),
            _ => normal.push(c),
        }
    }
    normal.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether a character is invisible or a quotation mark. Both also occur inside words.
fn is_nothing(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\'' | '"' | '`' | '´' | '«' | '»'
    ) || matches!(c, '\u{2018}'..='\u{201f}' | '\u{2032}'..='\u{2037}')
}

fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{303f}')
        || matches!(c, '¡' | '¿' | '·' | '§' | '¶')
}

/// Returns the next character in either direction that isn't a space.
fn neighbours(text: &[char], at: usize) -> (Option<char>, Option<char>) {
    let seen = |c: &&char| !c.is_whitespace();
    (text[..at].iter().rev().find(seen).copied(), text[at + 1..].iter().find(seen).copied())
}

/// Returns whether a character is an operator: between two operands, one of them a number or a bracket.
///
/// A minus may also begin a number.
fn is_operator(text: &[char], at: usize) -> bool {
    let (before, after) = neighbours(text, at);
    let number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || "()[]".contains(c));
    let operand = |c: Option<char>| number(c) || c.is_some_and(char::is_alphanumeric);
    match text[at] {
        '+' | '*' | '/' | '^' | '=' | '<' | '>' => {
            operand(before) && operand(after) && (number(before) || number(after))
        }
        '-' => text.get(at + 1).is_some_and(char::is_ascii_digit) || (number(before) && number(after)),
        _ => false,
    }
}

fn is_digit(text: &[char], at: Option<usize>) -> bool {
    at.and_then(|at| text.get(at)).is_some_and(char::is_ascii_digit)
}

fn is_in_number(text: &[char], at: usize) -> bool {
    let starts = text[at] == '.' && !at.checked_sub(1).is_some_and(|before| text[before].is_alphanumeric());
    is_digit(text, Some(at + 1)) && (starts || is_digit(text, at.checked_sub(1)))
}

fn is_between_thousands(text: &[char], at: usize) -> bool {
    let three = (1..=3).all(|next| is_digit(text, Some(at + next)));
    three && !is_digit(text, Some(at + 4)) && is_digit(text, at.checked_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_the_same_whatever_changes_nothing() {
        for same in [
            &[
                "How many apples?",
                "how  many\tapples",
                " HOW MANY APPLES ?!",
                "How many \u{201c}apples\u{201d}?",
            ][..],
            &["Ann\u{2019}s café", "Ann's cafe\u{301}", "ANNS CAFÉ."],
            &["\u{ff28}ow many \u{fb01}sh?", "How many fish?"],
            &["a well-known man: who?", "A well known man \u{2014} who"],
            &["He has 1,000 (old) books, of 2.5 kg.", "he has 1000 old books of 2.5 kg"],
            &["Is 3-4 = x?", "is 3 \u{2212} 4 = X"],
            &["**What** is\u{200b} it?\u{feff}", "What is it"],
            &["Straße", "STRASSE"],
            &["¿Cuántos?", "cuántos"],
            &["第一。", "第一"],
            &["a\nb\r\nc", "a b c"],
        ] {
            for text in same {
                assert_eq!(normal(text), normal(same[0]), "{text:?} and {:?}", same[0]);
                assert_eq!(normal(&normal(text)), normal(text), "{text:?}");
            }
        }
    }

    #[test]
    fn questions_differ_by_numbers_and_operators() {
        let texts = [
            "What is 3-4?",
            "What is 3+4?",
            "What is 3*4?",
            "What is 3/4?",
            "What is 34?",
            "What is 3.4?",
            "What is 3, 4?",
            "What is -34?",
            "What is 34%?",
            "What is $34?",
            "What is 2*(3+4)?",
            "What is 2*3+4?",
            "What is x-3?",
            "What is x+3?",
            "What is 3^4?",
            "What is 3<4?",
        ];
        let normals: std::collections::BTreeSet<String> = texts.map(normal).into();
        assert_eq!(normals.len(), texts.len(), "{normals:?}");
    }
}
