//! `docs/config.md`: every key with its kind, its default and its meaning.

use std::fmt::Write;

use crate::defaults::Defaults;
use crate::source::{Field, Item, Kind, Sources};

const HEAD: &str = "\
# Every key of a run file

Made from the sources by `just config-reference`; a test fails when it is out of date. `turnwise config FILE` prints a
file with all its defaults, `turnwise config --schema` a JSON schema for editors. A key that doesn't exist is refused with
its line and the nearest one that does; a number out of its range, with its line and the range. NaN and the infinities are
out of every range.

A key that is a *choice* takes a name, or a table of that name with keys: `advantage = \"grpo\"`, or `[advantage.gtpo]` and
`gamma = 0.9` below it. On the command line: `--set advantage.gtpo.gamma=0.9`.
";

/// The page.
pub(crate) fn page(sources: &Sources) -> String {
    let mut page = Page { sources, out: HEAD.to_string(), done: Vec::new() };
    for (root, title, command) in [("RunConfig", "Training", "train"), ("SftConfig", "Cold start", "sft")] {
        writeln!(page.out, "\n# {title}: `turnwise {command}`").expect("a string takes any text");
        let item = sources.item(root, None).expect("the root of the run file");
        page.table(item, "", &Defaults::of(command, &[]));
    }
    page.out
}

struct Page<'a> {
    sources: &'a Sources,
    out: String,
    /// Types that have their section already, and where.
    done: Vec<(String, String)>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        writeln!(self.out, "{text}").expect("a string takes any text");
    }

    /// A table and everything below it. `path` is the key that holds it; none for the file itself.
    fn table(&mut self, item: &Item, path: &str, defaults: &Defaults) {
        let Kind::Table(fields) = &item.kind else { unreachable!("a table") };
        if !path.is_empty() {
            self.line(&format!("\n## `[{path}]`\n\n{}", item.doc));
        }
        if let Some((_, where_)) = self.done.iter().find(|(name, _)| *name == item.name) {
            let text = format!("\nThe keys are those of `[{where_}]`.");
            return self.line(&text);
        }
        self.done.push((item.name.clone(), path.to_string()));
        if fields.is_empty() {
            return self.line("\nIt has no keys.");
        }
        self.line("\n| key | kind | default | |\n|---|---|---|---|");
        let full = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        for field in fields {
            let inner = self.sources.item(&field.kind, Some(item));
            let default = Self::default(field, inner, &full(&field.key), defaults);
            let row = format!(
                "| `{}` | {} | {default} | {} |",
                field.key,
                kind(field, inner),
                field.doc.replace('|', "\\|")
            );
            self.line(&row);
        }
        for field in fields {
            let Some(inner) = self.sources.item(&field.kind, Some(item)).cloned() else { continue };
            if field.named {
                let path = format!("{}.NAME", full(&field.key));
                if matches!(inner.kind, Kind::Choice(_)) {
                    self.below(&inner, &path, defaults);
                } else {
                    self.below(&inner, &path, &defaults.choosing(self.sources, &path, &inner));
                }
            } else {
                let path = full(&field.key);
                // A table that is absent by default has the defaults of one that is there.
                if matches!(inner.kind, Kind::Table(_)) && !defaults.has(&path) {
                    self.below(&inner, &path, &defaults.choosing(self.sources, &path, &inner));
                } else {
                    self.below(&inner, &path, defaults);
                }
            }
        }
    }

    fn default(field: &Field, inner: Option<&Item>, path: &str, defaults: &Defaults) -> String {
        if field.required {
            return "**required**".into();
        }
        match inner.map(|item| &item.kind) {
            Some(_) if field.named => "none".into(),
            Some(Kind::Table(_)) => format!("see `[{path}]`"),
            Some(Kind::Choice(variants)) if variants.iter().any(|variant| variant.holds.is_some()) => {
                defaults.choice(path).map_or("none".into(), |name| format!("`{name}`"))
            }
            _ => defaults.value(path).map_or("none".into(), |value| format!("`{value}`")),
        }
    }

    /// Text that a key's type needs.
    fn below(&mut self, item: &Item, path: &str, defaults: &Defaults) {
        match &item.kind {
            Kind::Table(_) => self.table(item, path, defaults),
            Kind::Names(_) => {}
            Kind::Choice(variants) if variants.iter().all(|variant| variant.holds.is_none()) => {
                self.line(&format!("\n## Names for `{path}`\n\n| | |\n|---|---|"));
                for variant in variants {
                    self.line(&format!("| `{}` | {} |", variant.key, variant.doc.replace('|', "\\|")));
                }
            }
            Kind::Choice(variants) => {
                self.line(&format!("\n## `{path}`, a choice\n\n{}\n\n| | |\n|---|---|", item.doc));
                for variant in variants {
                    self.line(&format!("| `{}` | {} |", variant.key, variant.doc.replace('|', "\\|")));
                }
                if self.done.iter().any(|(name, _)| *name == item.name) {
                    return;
                }
                self.done.push((item.name.clone(), path.to_string()));
                for variant in variants {
                    let held =
                        variant.holds.as_ref().and_then(|held| self.sources.item(held, Some(item))).cloned();
                    let Some(held) = held else { continue };
                    let path = format!("{path}.{}", variant.key);
                    let chosen = defaults.choosing(self.sources, &path, &held);
                    self.table(&held, &path, &chosen);
                }
            }
        }
    }
}

fn kind(field: &Field, inner: Option<&Item>) -> String {
    match inner.map(|item| &item.kind) {
        Some(Kind::Choice(_)) if field.named => "table of names of yours, each with one below".into(),
        Some(_) if field.named => "tables with names of yours".into(),
        None if field.named => format!("table of {}", simple(&field.kind)),
        Some(Kind::Table(_)) => "table".into(),
        Some(Kind::Choice(variants)) if variants.iter().all(|variant| variant.holds.is_none()) => {
            "name".into()
        }
        Some(Kind::Choice(_)) => "choice".into(),
        Some(Kind::Names(range)) => {
            let range = range.map_or_else(String::new, |range| range.in_words(false).to_string());
            format!("table of names, each with {range}")
        }
        None => numbers(field),
    }
}

/// A kind with its range, if it is one of numbers.
fn numbers(field: &Field) -> String {
    let simple = simple(&field.kind);
    let Some(range) = field.range else { return simple };
    let (list, kind) = match field.kind.strip_prefix("Vec<") {
        Some(kind) => ("list of ", kind.trim_end_matches('>')),
        None => ("", field.kind.as_str()),
    };
    let text = range.in_words(is_whole(kind)).to_string();
    format!("{list}{}", text.trim_start_matches("a "))
}

fn simple(kind: &str) -> String {
    if let Some(inside) = kind.strip_prefix("Vec<").and_then(|kind| kind.strip_suffix('>')) {
        return format!("list of {}", simple(inside));
    }
    match kind {
        "bool" => "true or false",
        "f64" | "f32" => "number",
        "String" => "text",
        "PathBuf" => "path",
        "Address" => "URL, or a list: a command and its arguments",
        _ if is_whole(kind) => "whole number",
        // An enum of names inside a list.
        _ => "name",
    }
    .into()
}

pub(crate) fn is_whole(kind: &str) -> bool {
    let kind = kind.rsplit("::").next().unwrap_or(kind);
    kind.starts_with("NonZero") || ["u8", "u16", "u32", "u64", "usize", "i32", "i64"].contains(&kind)
}
