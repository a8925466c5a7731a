//! Thoughts in prompts: the tag that a prompt ends with, and the removal of earlier thoughts.

/// Holds the tags around a thought: `<think>` and `</think>`, `[THINK]` and `[/THINK]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tags {
    open: String,
    close: String,
}

/// Holds the thought that a prompt ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    tags: Tags,
    /// Whether the thought is still open; some templates close it at once.
    pub(super) is_open: bool,
}

/// Parts of names of tags for thoughts.
const NAMES: [&str; 3] = ["think", "thought", "reason"];

/// Returns the tag that begins at the start of a text.
fn tag_at(text: &str) -> Option<Tags> {
    let close = match text.chars().next()? {
        '<' => '>',
        '[' => ']',
        _ => return None,
    };
    let (name, _) = text[1..].split_once(close)?;
    let is_name =
        name.len() < 32 && name.chars().all(|c| c.is_alphanumeric() || matches!(c, ':' | '_' | '-'));
    let lower = name.to_lowercase();
    (is_name && NAMES.iter().any(|part| lower.contains(part))).then(|| {
        let bracket = &text[..1];
        Tags { open: format!("{bracket}{name}{close}"), close: format!("{bracket}/{name}{close}") }
    })
}

impl Opening {
    /// Returns the thought that a prompt ends with, open or empty.
    pub(super) fn of(prompt: &str) -> Option<Self> {
        let end = prompt.trim_end();
        let starts = || end.char_indices().rev().filter(|(_, c)| matches!(c, '<' | '[')).take(2);
        starts().find_map(|(at, _)| {
            let tags = tag_at(&end[at..])?;
            let behind = end[at + tags.open.len()..].trim();
            let is_open = behind.is_empty();
            (is_open || behind == tags.close).then_some(Self { tags, is_open })
        })
    }

    /// Returns a text without its thoughts, the white space after them, and an unfinished thought at its
    /// end. A tag that is only mentioned, in a system message for example, is no thought.
    pub(super) fn without_thoughts(&self, text: &str) -> String {
        let Tags { open, close } = &self.tags;
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((inner, behind)) = rest.split_once(close.as_str()) {
            if let Some((before, _)) = inner.rsplit_once(open.as_str()) {
                out.push_str(before);
                rest = behind.trim_start();
            } else {
                out.extend([inner, close]);
                rest = behind;
            }
        }
        out.push_str(rest);
        match out.rsplit_once(open.as_str()) {
            Some((before, inner)) if inner.trim().is_empty() => before.to_string(),
            _ => out,
        }
    }

    /// Returns the prompt without the thought that it ends with.
    pub(super) fn before<'a>(&self, prompt: &'a str) -> &'a str {
        prompt.rsplit_once(self.tags.open.as_str()).map_or(prompt, |(before, _)| before)
    }

    /// Returns the same as [`Opening::behind`], with a thought that the text lacks.
    pub(super) fn behind_thought(&self, thought: &str, text: &str) -> String {
        let Tags { close, .. } = &self.tags;
        if !self.is_open || thought.is_empty() || text.contains(close.as_str()) {
            return self.behind(text);
        }
        format!("{}\n{close}\n\n{text}", thought.trim())
    }

    /// Returns the text as a turn would sample it: after the tag that the prompt ends with. A text without a
    /// thought closes the open one first.
    pub(super) fn behind(&self, text: &str) -> String {
        let Tags { open, close } = &self.tags;
        if !self.is_open {
            return text.into();
        }
        if let Some(inner) = text.strip_prefix(open.as_str()) {
            return inner.trim_start().into();
        }
        if text.contains(close.as_str()) { text.into() } else { format!("\n{close}\n\n{text}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_is_what_a_prompt_ends_with() {
        let check = |prompt: &str, expect: Option<(&str, bool)>| {
            let found = Opening::of(prompt);
            let found = found.as_ref().map(|opening| (opening.tags.close.as_str(), opening.is_open));
            assert_eq!(found, expect, "{prompt}");
        };
        check("<|im_start|>assistant\n<think>\n", Some(("</think>", true)));
        check("<｜Assistant｜><think>", Some(("</think>", true)));
        check("assistant\n<think>\n\n</think>\n\n", Some(("</think>", false)));
        check("[THINK]", Some(("[/THINK]", true)));
        check("<seed:think>", Some(("</seed:think>", true)));
        check("Use <think> and </think>.<|im_start|>assistant\n", None);
        check("<|im_start|>assistant\n", None);
        check("</think>", None);
        check("", None);
    }

    #[test]
    fn thoughts_are_taken_away_and_put_behind_the_opening() {
        let opening = Opening::of("<think>\n").unwrap();
        let check = |text: &str, expect: &str| assert_eq!(opening.without_thoughts(text), expect, "{text}");
        check("a<think>\nb\n</think>\n\nc<think>d</think>e<think>\n", "ace");
        check("plain</think> b", "plain</think> b");
        check("Use <think>.\n<think>a</think>b", "Use <think>.\nb");
        let check = |text: &str, expect: &str| assert_eq!(opening.behind(text), expect, "{text}");
        check("<think>\nA thought.\n</think>\n\n42", "A thought.\n</think>\n\n42");
        check("A thought.</think>42", "A thought.</think>42");
        check("42", "\n</think>\n\n42");
    }
}
