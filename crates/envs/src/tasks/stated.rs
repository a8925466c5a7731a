//! Finds the statement of an answer in a text.

/// Returns the start of the statement: after the last `Answer:`, which may be Markdown's `**Answer**:`.
pub(crate) fn stated_at(text: &str) -> Option<usize> {
    ["Answer:", "Answer**:"].iter().filter_map(|mark| Some(text.rfind(mark)? + mark.len())).max()
}

/// Returns the statement.
pub(crate) fn stated(text: &str) -> Option<&str> {
    stated_at(text).map(|at| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mark_counts_however_it_is_set() {
        for (text, expect) in [
            ("Answer: 1\n**Answer**: 2", Some(" 2")),
            ("**Answer**: 1\nFinal Answer: 2", Some(" 2")),
            ("**Answer:** 3", Some("** 3")),
            ("Answer 4", None),
        ] {
            assert_eq!(stated(text), expect, "{text}");
        }
    }
}
