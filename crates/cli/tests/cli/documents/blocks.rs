//! Reads fenced blocks of a document.

/// A fenced block.
pub(crate) struct Block {
    /// The word after the opening fence.
    pub(crate) language: String,
    /// Its lines, each with an end.
    pub(crate) text: String,
    /// Why the tests don't run it, if the line before it says so: `<!-- not run by the tests: WHY -->`.
    pub(crate) not_run: Option<String>,
}

impl Block {
    /// The name of a file to save it as: `# NAME.toml` or `# NAME.py` in its first line.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let first = self.text.lines().next()?.strip_prefix("# ")?;
        [".toml", ".py"].iter().any(|end| first.ends_with(end)).then_some(first)
    }
}

/// The fenced blocks of a document, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut open, mut before) = (false, "");
    for line in text.lines() {
        match (open, line.strip_prefix("```")) {
            (false, Some(language)) => {
                let not_run = before.strip_prefix("<!-- not run by the tests: ");
                let not_run = not_run.and_then(|why| why.strip_suffix(" -->")).map(String::from);
                found.push(Block { language: language.into(), text: String::new(), not_run });
                open = true;
            }
            (true, Some(_)) => open = false,
            (true, None) => {
                let block = found.last_mut().expect("an open block");
                block.text += line;
                block.text.push('\n');
            }
            (false, None) => {}
        }
        before = line;
    }
    assert!(!open, "a fence is never closed");
    found
}

#[test]
fn blocks_have_their_language_and_their_mark() {
    let text = "a\n<!-- not run by the tests: why -->\n```sh\none\ntwo\n```\n\n```toml\n# x.toml\n```\n";
    let found = blocks(text);
    assert_eq!((found[0].language.as_str(), found[0].text.as_str()), ("sh", "one\ntwo\n"));
    assert_eq!((found[0].not_run.as_deref(), found[0].file_name()), (Some("why"), None));
    assert_eq!((found[1].not_run.as_deref(), found[1].file_name()), (None, Some("x.toml")));
}
