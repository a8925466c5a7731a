//! The messages that docs/troubleshooting.md explains are those of the sources.

use std::path::Path;

use crate::binary::root;
use crate::documents::{blocks::blocks, read};

/// A place in a message for names and numbers.
const ANY: char = '…';

/// How far apart in the source the pieces of one message may be.
const APART: usize = 160;

/// Source texts with string literals as they read: no escapes, no broken lines.
fn sources() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let tests = path.file_name().is_some_and(|name| name == "tests");
            if path.is_dir() && !tests {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(literals(&path));
            }
        }
    }
    found
}

fn literals(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("text");
    let joined: Vec<&str> = text
        .split("\\\n")
        .enumerate()
        .map(|(i, part)| if i == 0 { part } else { part.trim_start() })
        .collect();
    joined.concat().replace("\\n", "\n").replace("\\\"", "\"")
}

/// Whether a source holds the pieces, one shortly after the other.
fn says(source: &str, pieces: &[&str]) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return true };
    source.match_indices(first).any(|(at, _)| {
        let mut end = at + first.len();
        rest.iter().all(|piece| {
            let near: String = source[end..].chars().take(APART).collect();
            near.find(piece).is_some_and(|found| {
                end += found + piece.len();
                true
            })
        })
    })
}

#[test]
fn every_explained_message_is_one_that_the_sources_hold() {
    let sources = sources();
    let page = blocks(&read("docs/troubleshooting.md"));
    let messages: Vec<&str> =
        page.iter().filter(|b| b.language == "text").flat_map(|b| b.text.lines()).collect();
    assert!(messages.len() > 40, "{}", messages.len());
    for message in messages {
        // Hints are put after their messages in more than one place.
        let text = message.strip_prefix("  hint: ").unwrap_or(message);
        let pieces: Vec<&str> = text
            .split(ANY)
            .map(|piece| piece.trim_matches([':', ' ']))
            .filter(|piece| piece.len() > 2)
            .collect();
        assert!(!pieces.is_empty(), "{message} could be anything");
        assert!(sources.iter().any(|source| says(source, &pieces)), "nothing says: {message}");
    }
    assert!(!sources.iter().any(|source| says(source, &["training needs at least", "nanometres"])));
}
