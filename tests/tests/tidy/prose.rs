//! Prose in a file: comments of sources, paragraphs of documents. Code, tables and headings are left out.

use crate::tree::TextFile;

/// Consecutive lines that make sentences.
#[derive(Debug)]
pub(crate) struct Paragraph {
    /// Number, columns of the whole line, and text without its comment mark.
    pub(crate) lines: Vec<(usize, usize, String)>,
    /// Whether it is the first paragraph of the documentation of a `pub` item.
    pub(crate) opens_public_item: bool,
}

impl Paragraph {
    /// The sentences, each with the line on which it begins.
    pub(crate) fn sentences(&self) -> Vec<(usize, String)> {
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut open = false;
        for (number, _, text) in &self.lines {
            for word in text.split_whitespace() {
                if let Some((_, sentence)) = found.last_mut().filter(|_| open) {
                    *sentence = format!("{sentence} {word}");
                } else {
                    found.push((*number, word.to_string()));
                }
                open = !word.trim_end_matches(['*', ')', '"', '`']).ends_with(['.', '!', '?']);
            }
        }
        found
    }
}

/// The text of a line of prose, if it is one.
fn prose<'a>(file: &TextFile, line: &'a str) -> Option<&'a str> {
    let trimmed = line.trim_start();
    if file.has_extension("md") {
        return Some(line);
    }
    if file.is_rust() {
        let marks = ["///", "//!", "//"];
        return marks.iter().find_map(|mark| trimmed.strip_prefix(mark));
    }
    let hash = ["sh", "py", "toml"].iter().any(|e| file.has_extension(e)) || file.path == "justfile";
    trimmed.strip_prefix('#').filter(|rest| hash && rest.starts_with(' '))
}

/// A line that opens a paragraph by itself: an item of a list.
fn is_item(text: &str) -> bool {
    let rest = text.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    rest.starts_with("- ") || rest.starts_with("* ") || rest.starts_with(". ") || rest.starts_with("…  ")
}

/// All prose of a file, in order.
pub(crate) fn paragraphs(file: &TextFile) -> Vec<Paragraph> {
    let mut found: Vec<Paragraph> = Vec::new();
    let (mut fenced, mut joins) = (false, false);
    let lines: Vec<&str> = file.text.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        let text = prose(file, line);
        let is_fence = text.is_some_and(|text| text.trim_start().starts_with("```"));
        if is_fence {
            fenced = !fenced;
        }
        let text = text.filter(|text| {
            let text = text.trim();
            !is_fence && !fenced && !text.is_empty() && !text.starts_with(['|', '#', '<', '!'])
        });
        let Some(text) = text else {
            joins = false;
            continue;
        };
        let entry = (i + 1, line.chars().count(), text.trim().to_string());
        if let Some(paragraph) = found.last_mut().filter(|_| joins && !is_item(text)) {
            paragraph.lines.push(entry);
        } else {
            let opens_public_item = opens_public_item(&lines, i);
            found.push(Paragraph { lines: vec![entry], opens_public_item });
        }
        joins = true;
    }
    found
}

/// Whether line `i` is the first of a documentation comment, and a `pub` item follows that comment.
fn opens_public_item(lines: &[&str], i: usize) -> bool {
    let is_doc = |line: &str| line.trim_start().starts_with("///");
    if !is_doc(lines[i]) || i > 0 && is_doc(lines[i - 1]) {
        return false;
    }
    let after = lines[i..].iter().map(|line| line.trim_start());
    let mut item = after.skip_while(|line| line.starts_with("///") || line.starts_with("#["));
    item.next().is_some_and(|line| line.starts_with("pub "))
}

#[test]
fn paragraphs_are_comments_and_what_stands_between_code() {
    let text = "# Title\none\ntwo. Three\n\n- item\n- item\n  goes on\n\n| a | b |\n```sh\ncode\n```\nlast\n";
    let file = TextFile { path: "a.md".into(), text: text.into() };
    let found = paragraphs(&file);
    let first: Vec<usize> = found.iter().map(|paragraph| paragraph.lines[0].0).collect();
    assert_eq!(first, [2, 5, 6, 13]);
    assert_eq!(found[0].sentences(), [(2, "one two.".to_string()), (3, "Three".to_string())]);
}
