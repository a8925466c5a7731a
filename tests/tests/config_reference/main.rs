//! The reference of the configuration: one page and two schemas, made from the sources of the types and from
//! what they resolve to. `TURNWISE_WRITE_REFERENCE=1` writes them; without it, files that are out of date
//! fail.

mod defaults;
mod kinds;
mod page;
mod range;
mod ranges;
mod schema;
mod source;

use std::path::{Path, PathBuf};

use crate::defaults::Defaults;
use crate::source::{Kind, Sources};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").into()
}

fn check(path: &str, text: &str) {
    let full = root().join(path);
    if std::env::var_os("TURNWISE_WRITE_REFERENCE").is_some() {
        std::fs::write(&full, text).expect("docs/ can be written");
        return;
    }
    let there = std::fs::read_to_string(&full).unwrap_or_default();
    let differs = text.lines().zip(there.lines()).find(|(new, old)| new != old);
    assert!(
        there == text,
        "{path} is out of date; run `just config-reference`. First difference: {differs:?}"
    );
}

#[test]
fn the_page_is_up_to_date() {
    check("docs/config.md", &page::page(&Sources::read(&root())));
}

#[test]
fn the_schemas_are_up_to_date() {
    let sources = Sources::read(&root());
    for (root, file) in [("RunConfig", "docs/config.schema.json"), ("SftConfig", "docs/sft.schema.json")] {
        let text = serde_json::to_string_pretty(&schema::schema(&sources, root)).expect("JSON");
        check(file, &(text + "\n"));
    }
}

/// Sources and program agree: every key of a resolved file is on the page.
#[test]
fn no_key_is_missing() {
    let sources = Sources::read(&root());
    let documented = |path: &str, root: &str| {
        let mut item = sources.item(root, None).expect("a root").clone();
        for key in path.split('.') {
            let found = match &item.kind {
                Kind::Table(fields) => fields.iter().find(|f| f.key == key).map(|f| (f.kind.clone(), &f.doc)),
                Kind::Choice(variants) => variants
                    .iter()
                    .find(|v| v.key == key)
                    .map(|v| (v.holds.clone().unwrap_or_default(), &v.doc)),
                Kind::Names(_) => return true,
            };
            let Some((kind, doc)) = found else { return false };
            if doc.is_empty() {
                return false;
            }
            match sources.item(&kind, Some(&item)) {
                Some(inner) => item = inner.clone(),
                None => return true,
            }
        }
        true
    };
    let mut seen = 0;
    for (command, root) in [("train", "RunConfig"), ("sft", "SftConfig")] {
        for key in Defaults::of(command, &[]).keys() {
            assert!(documented(&key, root), "{key} has no documentation");
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} keys");
}
