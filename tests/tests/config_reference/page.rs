//! `docs/config.md`: every key with its kind, its default and its meaning.

use std::fmt::Write;

use crate::defaults::{Defaults, is_alternative};
use crate::kinds::kind;
use crate::source::{Field, Item, Kind, Sources, Variant};

const HEAD: &str = "\
# Every key of a run file

`just config-reference` generates this page from the sources; a test fails if it is out of date. `turnwise config FILE`
prints a file with all its defaults, and `turnwise config --schema` a JSON schema for editors.

- A key that is a *choice* takes a name, or a table of that name with keys: `advantage = \"grpo\"`, or `[advantage.gtpo]`
  with `gamma = 0.9` below it. On the command line that is `--set advantage.gtpo.gamma=0.9`.
- A key whose default is *none* may stay unset.
- An unknown key is refused with its line and the nearest known one. A number out of its range is refused with its line
  and the range; NaN and the infinities are out of every range.
";

/// The page.
pub(crate) fn page(sources: &Sources) -> String {
    let mut page = Page { sources, out: HEAD.to_string(), sections: Vec::new() };
    let names: Vec<String> =
        turnwise_credit::PRESETS.iter().map(|preset| format!("`{}`", preset.name)).collect();
    let presets = format!(
        "- `preset = \"trl\"` at the top of a file puts the conventions of another implementation under all keys that \
         are set: {} ([table](trl-and-verl.md)).",
        names.join(", ")
    );
    page.line(&presets);
    for (root, title, command) in [("RunConfig", "Training", "train"), ("SftConfig", "Cold start", "sft")] {
        page.line(&format!("\n# {title}: `turnwise {command}`"));
        let item = sources.item(root, None).expect("the root of the run file");
        page.table(item, "", &Defaults::of(command, &[]));
    }
    page.out
}

/// The section of a type. It stands once, at the first key of the type; other keys link to it.
struct Section {
    of: Item,
    path: String,
    heading: String,
    written: bool,
}

struct Page<'a> {
    sources: &'a Sources,
    out: String,
    sections: Vec<Section>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        writeln!(self.out, "{text}").expect("a string takes any text");
    }

    /// A link to the section of a type, which belongs to `path` if no other path has it yet.
    fn link(&mut self, text: &str, of: &Item, path: &str) -> String {
        if matches!(of.kind, Kind::Names(_)) {
            return text.into();
        }
        let known = self.sections.iter().position(|section| section.of.same(of));
        let at = known.unwrap_or_else(|| {
            let heading = match &of.kind {
                Kind::Table(_) => format!("`[{path}]`"),
                _ if of.is_names() => format!("Names for `{path}`"),
                _ => format!("`{path}`, a choice"),
            };
            self.sections.push(Section { of: of.clone(), path: path.into(), heading, written: false });
            self.sections.len() - 1
        });
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let heading = self.sections[at].heading.to_lowercase();
        let anchor: String = heading.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect();
        format!("[{text}](#{anchor})")
    }

    /// Begins the section of a type if it belongs to `path` and isn't written yet.
    fn begin(&mut self, of: &Item, path: &str) -> bool {
        let is_next = |section: &&mut Section| section.of.same(of) && section.path == path;
        let Some(section) = self.sections.iter_mut().find(is_next).filter(|section| !section.written) else {
            return false;
        };
        section.written = true;
        let heading = format!("\n## {}", section.heading);
        self.line(&heading);
        true
    }

    /// The rows of a table and the sections below it. `path` is the key that holds it; none for the file
    /// itself.
    fn table(&mut self, item: &Item, path: &str, defaults: &Defaults) {
        let Kind::Table(fields) = &item.kind else { unreachable!("a table") };
        if fields.is_empty() {
            return self.line("\nIt has no keys.");
        }
        let full = |field: &Field| {
            let key = if path.is_empty() { field.key.clone() } else { format!("{path}.{}", field.key) };
            if field.named { format!("{key}.NAME") } else { key }
        };
        let inner = |field: &Field| self.sources.item(field.listed(), Some(item)).cloned();
        let fields: Vec<(&Field, String, Option<Item>)> =
            fields.iter().map(|field| (field, full(field), inner(field))).collect();
        self.line("\n| key | kind | default | meaning |\n|---|---|---|---|");
        for (field, path, inner) in &fields {
            let words = kind(field, inner.as_ref());
            let kind = inner.as_ref().map_or(words.clone(), |inner| self.link(&words, inner, path));
            let default = default(field, item, inner.as_ref(), path.trim_end_matches(".NAME"), defaults);
            self.line(&format!("| `{}` | {kind} | {default} | {} |", field.key, cell(&field.doc)));
        }
        for (field, path, inner) in &fields {
            let Some(inner) = inner else { continue };
            let absent = field.named || !defaults.has(path);
            // A table that is absent by default has the defaults of one that is there.
            let written = if matches!(inner.kind, Kind::Table(_)) && absent {
                self.below(inner, path, &defaults.choosing(self.sources, path, inner))
            } else {
                self.below(inner, path, defaults)
            };
            let also =
                fields.iter().filter(|(.., other)| other.as_ref().is_some_and(|other| other.same(inner)));
            let also: Vec<String> = also.skip(1).map(|(_, path, _)| format!("`{path}`")).collect();
            if written && inner.is_names() && !also.is_empty() {
                self.line(&format!("\nThe names are the same for {}.", also.join(", ")));
            }
        }
    }

    /// The section of a key's type. False if the type has one already.
    fn below(&mut self, item: &Item, path: &str, defaults: &Defaults) -> bool {
        if !self.begin(item, path) {
            return false;
        }
        let doc = if item.is_names() { String::new() } else { format!("\n{}", item.doc) };
        match &item.kind {
            Kind::Names(_) => {}
            Kind::Table(_) => {
                self.line(&doc);
                self.table(item, path, defaults);
            }
            Kind::Choice(variants) => {
                if !doc.is_empty() {
                    self.line(&doc);
                }
                self.choice(item, variants, path, defaults);
            }
        }
        true
    }

    fn choice(&mut self, item: &Item, variants: &[Variant], path: &str, defaults: &Defaults) {
        self.line("\n| name | meaning |\n|---|---|");
        let mut held = Vec::new();
        for variant in variants {
            let path = format!("{path}.{}", variant.key);
            let table = self.table_of(variant, variants, item);
            let name = format!("`{}`", variant.key);
            let name = table.as_ref().map_or(name.clone(), |table| self.link(&name, table, &path));
            self.line(&format!("| {name} | {} |", cell(&variant.doc)));
            held.extend(table.map(|table| (path, table)));
        }
        for (path, table) in held {
            let chosen = defaults.choosing(self.sources, &path, &table);
            self.below(&table, &path, &chosen);
        }
    }

    /// The settings of a choice, unless they are empty and those of other choices too.
    fn table_of(&self, variant: &Variant, variants: &[Variant], item: &Item) -> Option<Item> {
        let table = self.sources.item(variant.holds.as_ref()?, Some(item))?;
        let shared = variants.iter().filter(|other| other.holds == variant.holds).count() > 1;
        let empty = matches!(&table.kind, Kind::Table(fields) if fields.is_empty());
        (!(shared && empty)).then(|| table.clone())
    }
}

fn default(field: &Field, of: &Item, inner: Option<&Item>, path: &str, defaults: &Defaults) -> String {
    if field.required {
        return "**required**".into();
    }
    match inner.map(|item| &item.kind) {
        _ if is_alternative(of, &field.key) => "none".into(),
        Some(_) if field.named => "none".into(),
        Some(Kind::Table(keys)) if keys.iter().any(|key| key.required) => "none".into(),
        Some(Kind::Table(_)) if defaults.has(path) => "its defaults".into(),
        Some(Kind::Choice(variants)) if variants.iter().any(|variant| variant.holds.is_some()) => {
            defaults.choice(path).map_or("none".into(), |name| format!("`{name}`"))
        }
        _ => defaults.value(path).map_or("none".into(), |value| format!("`{value}`")),
    }
}

/// Documentation in a cell of a table.
fn cell(doc: &str) -> String {
    doc.replace('\n', " ").replace('|', "\\|")
}
