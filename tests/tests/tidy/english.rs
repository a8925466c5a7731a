//! The English of comments and documents: those rules of CONTRIBUTING.md that a program can check.

use crate::prose::{Paragraph, paragraphs};
use crate::tree::{TextFile, report, tracked_text};

/// Folders and files whose English has been gone through. The list grows until it is the whole tree.
const CLEAN: [&str; 44] = [
    "README.md",
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "PAPERS.md",
    "benches/",
    "docs/",
    "configs/",
    "scripts/",
    "crates/cli/",
    "crates/credit/",
    "crates/curriculum/",
    "crates/diagnosis/",
    "crates/datasets/",
    "crates/demonstrations/",
    "crates/envs/",
    "crates/files/",
    "crates/gguf/",
    "crates/http/",
    "crates/inspect/",
    "crates/allocator/",
    "crates/listen/",
    "crates/jinja/",
    "crates/json/",
    "crates/loss/",
    "crates/mcp/",
    "crates/model/",
    "crates/rollout/",
    "crates/run/",
    "crates/runfile/",
    "crates/sampler/",
    "crates/serve/",
    "crates/similarity/",
    "crates/stats/",
    "crates/tools/",
    "crates/traces/",
    "crates/trainer/",
    "crates/trajectory/",
    "experiments/src/",
    "experiments/tests/",
    "fuzz/",
    "python/",
    "tests/",
];

/// Generated files, and a page whose words are its own author's.
const LEFT_OUT: [&str; 3] = ["docs/config.md", "docs/evidence/tables.md", "tests/tests/tidy/english.rs"];

const COLUMNS: usize = 110;

/// A first sentence of this many words is read at a glance.
const WORDS: usize = 20;

/// Words that open a sentence without its subject.
const OPENERS: [&str; 6] = ["What", "Where", "Whoever", "Of", "So", "Nobody"];

/// Phrases that stand for a noun or a number of the field.
const PHRASES: [&str; 7] =
    ["so many", "none that", "of its own", "of their own", "anew", "has no say", "have no say"];

fn clean() -> Vec<TextFile> {
    let checked =
        |path: &str| CLEAN.iter().any(|prefix| path.starts_with(prefix)) && !LEFT_OUT.contains(&path);
    tracked_text().into_iter().filter(|file| checked(&file.path)).collect()
}

/// Reports `rule` with every (line, finding) of every paragraph in the clean files.
fn each_paragraph(rule: &str, find: impl Fn(&Paragraph) -> Vec<(usize, String)>) {
    let mut findings = Vec::new();
    for file in clean() {
        for paragraph in paragraphs(&file) {
            let found = find(&paragraph);
            findings.extend(found.into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.path)));
        }
    }
    report(&findings, rule);
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn openers(paragraph: &Paragraph) -> Vec<(usize, String)> {
    let opens = |sentence: &str| {
        // The mark of a list's item stands before its first sentence.
        let is_mark =
            |word: &&str| matches!(*word, "-" | "*") || word.strip_suffix('.').is_some_and(is_number);
        let mut words = sentence.split_whitespace().skip_while(is_mark);
        OPENERS.contains(&words.next().unwrap_or_default().trim_matches(['*', '(', ',', '"']))
    };
    paragraph.sentences().into_iter().filter(|(_, sentence)| opens(sentence)).collect()
}

fn phrases(paragraph: &Paragraph) -> Vec<(usize, String)> {
    let holds = |text: &str, phrase: &str| {
        let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
        text.match_indices(phrase).any(|(at, _)| {
            !letter(text[..at].chars().next_back()) && !letter(text[at + phrase.len()..].chars().next())
        })
    };
    let lower = paragraph.sentences().into_iter().map(|(line, sentence)| (line, sentence.to_lowercase()));
    lower
        .flat_map(|(line, text)| {
            let found = PHRASES.iter().filter(move |phrase| holds(&text, phrase));
            found.map(move |phrase| (line, format!("`{phrase}`"))).collect::<Vec<_>>()
        })
        .collect()
}

/// The first sentence of a public item's documentation, if it is too long.
fn long_opening(paragraph: &Paragraph) -> Vec<(usize, String)> {
    if !paragraph.opens_public_item {
        return Vec::new();
    }
    let first = paragraph.sentences().into_iter().next();
    // Code between back quotes is read as one word.
    let words = |sentence: &str| {
        let outside: String = sentence.split('`').step_by(2).collect::<Vec<_>>().join("x");
        outside.split_whitespace().count()
    };
    let too_long = first.filter(|(_, sentence)| words(sentence) > WORDS);
    too_long
        .map(|(line, sentence)| (line, format!("{} words: {sentence}", words(&sentence))))
        .into_iter()
        .collect()
}

#[test]
fn prose_fits_into_its_columns() {
    each_paragraph("prose has at most 110 columns", |paragraph| {
        let breaks = |text: &str| text.contains(' ') && !text.contains("://");
        let long = |(_, width, text): &&(usize, usize, String)| *width > COLUMNS && breaks(text);
        let lines = paragraph.lines.iter().filter(long);
        lines.map(|(number, width, _)| (*number, format!("{width} columns"))).collect()
    });
}

#[test]
fn sentences_begin_with_their_subject() {
    each_paragraph("no sentence begins with What, Where, Whoever, Of, So or Nobody", openers);
}

#[test]
fn the_field_has_a_word_for_it() {
    each_paragraph("phrases that CONTRIBUTING.md replaces", phrases);
}

#[test]
fn public_items_are_explained_at_a_glance() {
    each_paragraph("a first sentence has at most 20 words", long_opening);
}

#[test]
fn clean_paths_exist() {
    let files = tracked_text();
    let gone = CLEAN.iter().chain(&LEFT_OUT).filter(|path| !files.iter().any(|f| f.path.starts_with(**path)));
    report(
        &gone.map(|path| (*path).to_string()).collect::<Vec<_>>(),
        "listed in english.rs, and not in the tree",
    );
}

#[test]
fn each_rule_finds_its_faults() {
    let rust = "/// Returns the mean. Of these there are so many\n/// as there are `a b c`.\npub fn f() {}\n";
    let file = TextFile { path: "a.rs".into(), text: rust.into() };
    let [paragraph] = paragraphs(&file).try_into().unwrap_or_else(|_| panic!("one paragraph"));
    assert_eq!(openers(&paragraph), [(1, "Of these there are so many as there are `a b c`.".to_string())]);
    assert_eq!(phrases(&paragraph), [(1, "`so many`".to_string())]);
    assert_eq!(long_opening(&paragraph), []);
    let long = format!("/// {}.\npub fn f() {{}}\n", "word ".repeat(21).trim());
    let file = TextFile { path: "a.rs".into(), text: long };
    assert_eq!(paragraphs(&file).iter().flat_map(long_opening).count(), 1);
}
