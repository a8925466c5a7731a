//! Reads answers of one word: a name, or yes or no.

use crate::tasks::stated::stated;

/// Returns the only word after the last `Answer:`, in lower case. Several words or a number are no answer.
pub(crate) fn one_word(text: &str) -> Option<String> {
    let answer = stated(text)?.trim().trim_start_matches("**").trim_end_matches(['*', '.']).trim();
    (!answer.is_empty() && answer.chars().all(char::is_alphabetic)).then(|| answer.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_after_the_last_marker_is_the_answer() {
        for (text, answer) in [
            ("Answer: Ann", Some("ann")),
            ("Answer: No. Answer: yes.", Some("yes")),
            ("**Answer:** Yes", Some("yes")),
            ("**Answer: No.**", Some("no")),
            ("**Answer**: no", Some("no")),
            ("Answer: yes or no", None),
            ("Answer: not Ann", None),
            ("Answer: yes\nno", None),
            ("Answer:", None),
            ("Answer: yes\nAnswer:", None),
            ("Ann", None),
            ("Answer: 41", None),
        ] {
            assert_eq!(one_word(text).as_deref(), answer, "{text}");
        }
    }
}
