//! The configuration types as their sources declare them: names, documentation, and which keys may be left
//! out.

use std::path::{Path, PathBuf};

use turnwise_runfile::Range;

use crate::range::{self, Named};

/// Folders that hold the types of run files.
const FOLDERS: [&str; 13] = [
    "crates/runfile/src",
    "crates/trainer/src/config",
    "crates/envs/src",
    "crates/mcp/src",
    "crates/similarity/src",
    "crates/credit/src",
    "crates/curriculum/src",
    "crates/loss/src",
    "crates/tools/src",
    "crates/model/src",
    "crates/rollout/src/chat",
    "crates/rollout/src/remote/tokens",
    "crates/demonstrations/src",
];

/// A type that a run file can hold.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) doc: String,
    pub(crate) kind: Kind,
    file: PathBuf,
    /// The macro that it is declared in.
    within: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A table with keys.
    Table(Vec<Field>),
    /// One of several names, each with its keys or with none.
    Choice(Vec<Variant>),
    /// A table of any names with a number each.
    Names(Option<Range>),
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) doc: String,
    /// As it is written, `Option`, `Box` and a map from names taken off.
    pub(crate) kind: String,
    /// Whether it holds one of them for each of any names.
    pub(crate) named: bool,
    pub(crate) required: bool,
    /// Range of numbers.
    pub(crate) range: Option<Range>,
}

#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) key: String,
    pub(crate) doc: String,
    pub(crate) holds: Option<String>,
}

/// Every type of every folder.
pub(crate) struct Sources(Vec<Item>);

impl Item {
    /// Whether it is a choice between names without keys.
    pub(crate) fn is_names(&self) -> bool {
        matches!(&self.kind, Kind::Choice(variants) if variants.iter().all(|variant| variant.holds.is_none()))
    }

    /// Whether it is the same declaration.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.name == other.name && self.file == other.file
    }
}

impl Field {
    /// The kind of one value of a list, or of the value itself.
    pub(crate) fn listed(&self) -> &str {
        self.kind.strip_prefix("Vec<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(&self.kind)
    }
}

/// The beginning of a field's type that has any names as keys.
const NAMES: &str = "BTreeMap<String, ";

/// The beginning of a field's type that also takes `auto`.
const AUTO: &str = "OrAuto<";

/// The files that types are declared in.
type Files = Vec<(PathBuf, String)>;

impl Sources {
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = Files::new();
        for folder in FOLDERS {
            visit(&root.join(folder), &mut files);
        }
        let ranges: Vec<Named> = files.iter().flat_map(|(path, text)| range::named(path, text)).collect();
        let mut items = Vec::new();
        for (path, text) in &files {
            parse(text, path, &ranges, &mut items);
        }
        Self(items).with_shared_keys()
    }

    /// Adds the keys that a macro such as `z_scored!` gives to every type that is declared in it.
    fn with_shared_keys(mut self) -> Self {
        let shared: Vec<Item> =
            self.0.extract_if(.., |item| item.name == "$name" && item.within.is_some()).collect();
        for item in &mut self.0 {
            let given = shared.iter().find(|given| given.within == item.within);
            if let (Kind::Table(fields), Some(Item { kind: Kind::Table(given), .. })) =
                (&mut item.kind, given)
            {
                fields.extend_from_slice(given);
            }
        }
        self.with_auto()
    }

    /// Adds a choice for each field that takes a name or `auto`: that of the names, and `auto`.
    fn with_auto(mut self) -> Self {
        let is_auto = |field: &&mut Field| field.kind.starts_with(AUTO);
        let mut more = Vec::new();
        let names = self.0.clone();
        for item in &mut self.0 {
            let Kind::Table(fields) = &mut item.kind else { continue };
            for field in fields.iter_mut().filter(is_auto) {
                let name = field.kind[AUTO.len()..].trim_end_matches('>').to_string();
                field.kind = format!("{name}OrAuto");
                let named = names.iter().find(|item| item.name == name).expect("the names are a type");
                let Kind::Choice(mut variants) = named.kind.clone() else { panic!("{name} is no choice") };
                let doc =
                    "The one that the model folder's template or tokenizer shows, or else `hermes`.".into();
                variants.insert(0, Variant { key: "auto".into(), doc, holds: None });
                more.push(Item { name: field.kind.clone(), kind: Kind::Choice(variants), ..named.clone() });
            }
        }
        self.0.extend(more);
        self
    }

    /// A type by its name; of several, the one that lies nearest to `near`.
    pub(crate) fn item(&self, name: &str, near: Option<&Item>) -> Option<&Item> {
        let name = name.rsplit("::").next().unwrap_or(name);
        let near = near.map_or(Path::new(""), |near| &near.file);
        self.0.iter().filter(|item| item.name == name).max_by_key(|item| shared(&item.file, near))
    }
}

/// How many folders two paths have in common.
pub(crate) fn shared(a: &Path, b: &Path) -> usize {
    a.components().zip(b.components()).take_while(|(a, b)| a == b).count()
}

fn visit(folder: &Path, files: &mut Files) {
    let entries = std::fs::read_dir(folder).expect("a folder of sources");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            visit(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            files.push((path, text));
        }
    }
}

/// Documentation and attributes before a declaration.
#[derive(Default)]
struct Before {
    doc: Vec<String>,
    attributes: String,
}

impl Before {
    /// Takes in a line that stands before a declaration. False if it is something else.
    fn take(&mut self, line: &str) -> bool {
        if let Some(doc) = line.strip_prefix("///") {
            self.doc.push(doc.strip_prefix(' ').unwrap_or(doc).trim_end().to_string());
        } else if line.starts_with("#[") {
            self.attributes += line;
        } else {
            return false;
        }
        true
    }

    /// The documentation: a line for each paragraph, an empty one between them, and blocks of code as they
    /// are.
    fn doc(&self) -> String {
        let (mut text, mut in_code) = (String::new(), false);
        for (at, line) in self.doc.iter().enumerate() {
            let fence = line.trim_start().starts_with("```");
            let goes_on = at > 0 && !line.is_empty() && !self.doc[at - 1].is_empty();
            if at > 0 {
                text.push(if goes_on && !fence && !in_code { ' ' } else { '\n' });
            }
            text += if in_code { line } else { line.trim() };
            in_code ^= fence;
        }
        text = text.replace("[`", "`").replace("`]", "`");
        // The targets of rustdoc's links don't belong on this page.
        while let Some(at) = text.find("`(") {
            let Some(end) = text[at..].find(')') else { break };
            text.replace_range(at + 1..=at + end, "");
        }
        text.trim().to_string()
    }

    /// The name that `rename` gives.
    fn renamed(&self) -> Option<String> {
        let after = self.attributes.split("rename = \"").nth(1)?;
        after.split('"').next().map(str::to_string)
    }
}

/// The sources are formatted by rustfmt: a declaration begins and ends on separate lines.
fn parse(text: &str, file: &Path, ranges: &[Named], items: &mut Vec<Item>) {
    let mut lines = text.lines().peekable();
    let mut before = Before::default();
    let (mut within, mut in_macro) = (None::<String>, false);
    while let Some(full) = lines.next() {
        let line = full.trim();
        if before.take(line) {
            continue;
        }
        // `macro_rules! name {` declares what `name! {` gives.
        let declares = full.starts_with("macro_rules! ");
        let opened = full.strip_prefix("macro_rules! ").and_then(|rest| rest.strip_suffix(" {"));
        let is_name = |name: &&str| name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if let Some(name) = opened.or(full.strip_suffix("! {")).filter(is_name) {
            (within, in_macro) = (Some(name.to_string()), !declares);
        }
        if full == "}" {
            (within, in_macro) = (None, false);
        }
        let readable = before.attributes.contains("Deserialize") || in_macro;
        if line.starts_with("pub struct ") && line.contains('(') && readable {
            let mut whole = line.to_string();
            while let Some(more) = lines.next_if(|_| !whole.ends_with(");")) {
                whole += more.trim();
            }
            if whole.contains("BTreeMap<String, ") {
                let name = whole["pub struct ".len()..].split('(').next().unwrap_or_default().to_string();
                let kind = Kind::Names(range::of_attributes(&whole, file, ranges));
                items.push(Item { name, doc: before.doc(), kind, file: file.into(), within: None });
            }
        }
        let indent = &full[..full.len() - full.trim_start().len()];
        let declared = ["pub struct ", "pub(crate) struct ", "pub enum "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        if let Some(rest) = declared.filter(|rest| readable && rest.contains('{')) {
            let name = rest.split([' ', '<', '{', '(']).next().unwrap_or_default().to_string();
            let body: Vec<&str> = if line.ends_with("{}") {
                Vec::new()
            } else {
                let end = format!("{indent}}}");
                lines.by_ref().take_while(|line| *line != end).collect()
            };
            let kind = if line.contains(" enum ")
                || line.starts_with("enum ")
                || line.starts_with("pub enum ")
            {
                Kind::Choice(variants(&body))
            } else {
                Kind::Table(fields(&body, in_macro || before.attributes.contains("default"), file, ranges))
            };
            items.push(Item { name, doc: before.doc(), kind, file: file.into(), within: within.clone() });
        }
        before = Before::default();
    }
}

fn fields(body: &[&str], all_optional: bool, file: &Path, ranges: &[Named]) -> Vec<Field> {
    let mut before = Before::default();
    let mut fields = Vec::new();
    for line in body.iter().map(|line| line.trim()) {
        if before.take(line) {
            continue;
        }
        let declared = line.strip_prefix("pub ").unwrap_or(line).trim_end_matches(',').split_once(": ");
        // `$field: $kind` stands for the keys of whoever uses the macro.
        if let Some((name, kind)) = declared.filter(|_| !line.contains("$field")) {
            // A macro's fields have their defaults after them.
            let kind = kind.split(" = ").next().unwrap_or(kind);
            let optional =
                all_optional || before.attributes.contains("default") || kind.starts_with("Option<");
            fields.push(Field {
                key: before.renamed().unwrap_or_else(|| name.to_string()),
                doc: before.doc(),
                kind: bare(kind.strip_prefix(NAMES).and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind))
                    .into(),
                named: kind.starts_with(NAMES),
                required: !optional,
                range: range::of_attributes(&before.attributes, file, ranges),
            });
        }
        before = Before::default();
    }
    fields
}

fn variants(body: &[&str]) -> Vec<Variant> {
    let mut before = Before::default();
    let mut variants = Vec::new();
    for line in body.iter().map(|line| line.trim()) {
        if before.take(line) {
            continue;
        }
        let (key, declared) = match line.split_once("\" => ") {
            Some((key, declared)) => (Some(key.trim_start_matches('"').to_string()), declared),
            None => (before.renamed(), line),
        };
        // After ` = ` a line of `names!` has what the name stands for.
        let declared = declared.trim_end_matches(',').split(" = ").next().unwrap_or(declared);
        let (name, holds) = match declared.split_once('(') {
            Some((name, holds)) => (name, Some(bare(holds.trim_end_matches(')')).to_string())),
            None => (declared, None),
        };
        if name.starts_with(char::is_uppercase) {
            variants.push(Variant { key: key.unwrap_or_else(|| snake(name)), doc: before.doc(), holds });
        }
        before = Before::default();
    }
    variants
}

fn bare(kind: &str) -> &str {
    let inside = ["Option<", "Box<"].iter().find_map(|outer| kind.strip_prefix(outer)?.strip_suffix('>'));
    inside.map_or(kind, bare)
}

/// `Llama3Json` → `llama3_json`, as serde does it.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_uppercase() && at > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
