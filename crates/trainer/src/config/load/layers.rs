//! Layers of a run file: the file, its overlays and each `--set`, merged into one table that remembers where every key
//! and value came from.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::ConfigError;
use super::nearest::nearest;
use super::preset;

/// Keys that hold one of several variants: naming another variant replaces the first instead of joining it.
const CHOICES: [&str; 6] = ["advantage", "loss", "env", "weights", "shaping.similarity", "rollout.executor"];

/// A choice in the file of `turnwise sft`, a path elsewhere: a text here is a value, not the name of a variant.
const MODEL: &str = "model";

const HOW_TO_SET: &str = "write --set key.path=value, for example --set advantage.gtpo.gamma=1.0";

/// Where a layer's text came from.
pub(super) struct Source {
    /// A file's path, `--set …`, or `preset …`.
    name: String,
    text: String,
    /// Spans of the merged table count bytes over all sources; this one's start here.
    start: usize,
    kind: Kind,
}

/// What a source's text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A TOML file.
    File,
    /// `key.path=value`.
    Set,
    /// TOML that lies under all others.
    Preset,
}

impl Source {
    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether a span of the merged table lies in this source.
    pub(super) fn holds(&self, span: &Range<usize>) -> bool {
        (self.start..=self.start + self.len()).contains(&span.start)
    }

    /// `file:line`, the `--set`, or the preset.
    pub(super) fn place(&self, span: &Range<usize>) -> String {
        if self.kind != Kind::File {
            return self.name.clone();
        }
        let before = self.text.get(..span.start - self.start).unwrap_or(&self.text);
        format!("{}:{}", self.name, 1 + before.matches('\n').count())
    }

    /// The whole source, without a line.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// Reads the run file, if there is one, and the overlays; a `--set` is its own text.
pub(super) fn sources(
    path: Option<&Path>,
    overlays: &[PathBuf],
    sets: &[String],
) -> Result<Vec<Source>, ConfigError> {
    let mut sources = Vec::new();
    for path in path.into_iter().chain(overlays.iter().map(PathBuf::as_path)) {
        let name = path.display().to_string();
        let text = turnwise_files::read(path, turnwise_files::SETTINGS).map_err(|e| unreadable(path, &e))?;
        let text = String::from_utf8(text).map_err(|e| {
            ConfigError::new(&name, format!("not UTF-8 text (byte {})", e.utf8_error().valid_up_to()))
        })?;
        sources.push(Source { name, text, start: 0, kind: Kind::File });
    }
    for set in sets {
        sources.push(Source { name: format!("--set {set}"), text: set.clone(), start: 0, kind: Kind::Set });
    }
    number(&mut sources);
    if let Some((name, text)) = preset::layer(&sources, &layered(&sources)?)? {
        sources.push(Source { name, text, start: 0, kind: Kind::Preset });
        number(&mut sources);
    }
    Ok(sources)
}

/// Gives every source its place among the bytes of all.
fn number(sources: &mut [Source]) {
    let mut start = 0;
    for source in sources {
        source.start = start;
        // One byte apart, so that no place belongs to two sources.
        start += source.len() + 1;
    }
}

/// All sources as one table, each laid over those before it and all over the preset, whose name is gone then.
pub(super) fn merged(sources: &[Source]) -> Result<DeTable<'_>, ConfigError> {
    let mut table = layered(sources)?;
    table.remove(preset::KEY);
    for source in sources.iter().filter(|source| source.kind == Kind::Preset) {
        let mut under = shifted_table(file(source)?, source.start);
        merge(&mut under, table, "");
        table = under;
    }
    for choice in CHOICES {
        open(&mut table, choice);
    }
    Ok(table)
}

/// The files and `--set`s.
fn layered(sources: &[Source]) -> Result<DeTable<'_>, ConfigError> {
    let mut table = DeTable::new();
    for source in sources {
        let layer = match source.kind {
            Kind::File => file(source)?,
            Kind::Set => set(source)?,
            Kind::Preset => continue,
        };
        merge(&mut table, shifted_table(layer, source.start), "");
    }
    Ok(table)
}

/// The table of a TOML text.
fn file(source: &Source) -> Result<DeTable<'_>, ConfigError> {
    Ok(DeTable::parse(&source.text).map_err(|e| syntax(source, &e, 0))?.into_inner())
}

/// The table of a `key.path=value`.
fn set(source: &Source) -> Result<DeTable<'_>, ConfigError> {
    let broken = |message: String| ConfigError::new(&source.name, message).hint(HOW_TO_SET);
    let Some((key, value)) = source.text.split_once('=') else { return Err(broken("no `=`".into())) };
    let bare = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if !key.split('.').all(bare) {
        return Err(broken(format!("`{key}` is not a key")));
    }
    if value.trim().is_empty() {
        return Err(broken("no value".into()));
    }
    let start = key.len() + 1;
    let value = match DeValue::parse(value) {
        Ok(parsed) => parsed,
        Err(error) if value.trim_start().starts_with(['"', '\'', '[', '{']) => {
            return Err(syntax(source, &error, start));
        }
        Err(_) => Spanned::new(0..value.len(), DeValue::String(Cow::Borrowed(value.trim()))),
    };
    let mut end = key.len();
    // From the innermost key outwards, each around what is inside it.
    let table = key.rsplit('.').fold(shifted(value, start), |inside, part| {
        let span = end - part.len()..end;
        end = span.start.saturating_sub(1);
        let key = Spanned::new(span.clone(), Cow::Borrowed(part));
        Spanned::new(span, DeValue::Table(DeTable::from_iter([(key, inside)])))
    });
    let DeValue::Table(table) = table.into_inner() else { unreachable!("a key has at least one part") };
    Ok(table)
}

fn merge<'s>(base: &mut DeTable<'s>, over: DeTable<'s>, parent: &str) {
    for (key, new) in over {
        let name = key.get_ref().as_ref();
        let path = if parent.is_empty() { name.to_string() } else { format!("{parent}.{name}") };
        let is_choice = path == MODEL || CHOICES.contains(&path.as_str());
        let span = new.span();
        match (base.get_mut(name).map(Spanned::get_mut), new.into_inner()) {
            // The variant that is chosen already, without keys: its keys stay.
            (Some(old), DeValue::String(new)) if is_choice && variant(old) == Some(&new) => {}
            (Some(DeValue::Table(old)), DeValue::Table(new))
                if !is_choice || variant_of(old) == variant_of(&new) =>
            {
                merge(old, new, &path);
            }
            (_, new) => replace(base, key, Spanned::new(span, new)),
        }
    }
}

/// Turns `choice = "variant"` into the table of that variant without keys, which every kind of choice reads.
fn open(table: &mut DeTable<'_>, choice: &str) {
    let (key, rest) = choice.split_once('.').map_or((choice, None), |(key, rest)| (key, Some(rest)));
    let Some(found) = table.get_mut(key) else { return };
    let span = found.span();
    match (found.get_mut(), rest) {
        (DeValue::Table(inner), Some(rest)) => open(inner, rest),
        (value, None) => {
            if let DeValue::String(name) = value {
                let name = Spanned::new(span.clone(), std::mem::take(name));
                let keys = Spanned::new(span, DeValue::Table(DeTable::new()));
                *value = DeValue::Table(DeTable::from_iter([(name, keys)]));
            }
        }
        _ => {}
    }
}

/// Takes the old key out as well: it carries the place that errors name.
fn replace<'s>(table: &mut DeTable<'s>, key: Spanned<DeString<'s>>, value: Spanned<DeValue<'s>>) {
    table.remove(key.get_ref().as_ref());
    table.insert(key, value);
}

/// The variant that a choice names: as a string, or as a table with one key.
pub(super) fn variant<'a>(choice: &'a DeValue<'_>) -> Option<&'a str> {
    match choice {
        DeValue::String(name) => Some(name.as_ref()),
        DeValue::Table(table) => variant_of(table),
        _ => None,
    }
}

fn variant_of<'a>(table: &'a DeTable<'_>) -> Option<&'a str> {
    (table.len() == 1).then(|| table.keys().next().map(|key| key.get_ref().as_ref())).flatten()
}

/// Moves every span by `by` bytes.
fn shifted(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = moved(&value.span(), by);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted_table(table, by)),
        DeValue::Array(mut items) => {
            for item in items.iter_mut() {
                *item = shifted(std::mem::replace(item, Spanned::new(0..0, DeValue::Boolean(false))), by);
            }
            DeValue::Array(items)
        }
        other => other,
    };
    Spanned::new(span, value)
}

fn shifted_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let mut moved_table = DeTable::new();
    for (key, value) in table {
        let span = moved(&key.span(), by);
        moved_table.insert(Spanned::new(span, key.into_inner()), shifted(value, by));
    }
    moved_table
}

fn moved(span: &Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// A syntax error, at the byte of `source` that it names plus `offset`.
fn syntax(source: &Source, error: &toml::de::Error, offset: usize) -> ConfigError {
    let span = error.span().map_or(0..0, |span| moved(&span, source.start + offset));
    ConfigError::new(source.place(&span), error.message().trim().replace('\n', "; "))
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    let failed = ConfigError::new(path.display().to_string(), format!("cannot read: {error}"));
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match nearest(wanted, files.iter().map(String::as_str)) {
        Some(name) if name != wanted => {
            failed.hint(format!("did you mean {}?", path.with_file_name(name).display()))
        }
        _ => failed,
    }
}
