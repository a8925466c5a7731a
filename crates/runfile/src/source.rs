//! Texts of a run file's layers: the file, its overlays and each `--set`.

use std::borrow::Cow;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::ConfigError;
use crate::nearest::nearest;

const HOW_TO_SET: &str = "write --set key.path=value, for example --set advantage.gtpo.gamma=1.0";

/// Holds a layer's text.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// A file's path, `--set …`, or `preset …`.
    name: String,
    text: String,
    kind: Kind,
}

/// Names the syntax of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A TOML file.
    File,
    /// `key.path=value`.
    Set,
    /// TOML without a file.
    Preset,
}

impl Source {
    /// Reads a file.
    pub(crate) fn file(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = turnwise_files::read(path, turnwise_files::SETTINGS).map_err(|e| unreadable(path, &e))?;
        let text = String::from_utf8(text).map_err(|e| {
            ConfigError::new(&name, format!("not UTF-8 text (byte {})", e.utf8_error().valid_up_to()))
        })?;
        Ok(Self { name, text, kind: Kind::File })
    }

    /// Returns the source of a `key.path=value`.
    pub(crate) fn set(text: &str) -> Self {
        Self { name: format!("--set {text}"), text: text.into(), kind: Kind::Set }
    }

    /// Returns the source of a preset.
    pub(crate) fn preset(name: String, text: String) -> Self {
        Self { name, text, kind: Kind::Preset }
    }

    /// Returns `file:line`, the `--set`, or the preset.
    pub(crate) fn place(&self, byte: usize) -> String {
        if self.kind != Kind::File {
            return self.name.clone();
        }
        let before = self.text.get(..byte).unwrap_or(&self.text);
        format!("{}:{}", self.name, 1 + before.matches('\n').count())
    }

    /// Returns the name of the source, without a line.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Parses its table.
    pub(crate) fn parse(&self) -> Result<Spanned<DeValue<'_>>, ConfigError> {
        if self.kind == Kind::Set {
            return self.parse_set();
        }
        let table = DeTable::parse(&self.text).map_err(|error| self.syntax(&error))?;
        Ok(Spanned::new(table.span(), DeValue::Table(table.into_inner())))
    }

    /// Parses the table of a `key.path=value`. Spans inside it are useless: its place is the whole text.
    fn parse_set(&self) -> Result<Spanned<DeValue<'_>>, ConfigError> {
        let broken = |message: String| ConfigError::new(&self.name, message).hint(HOW_TO_SET);
        let Some((key, _)) = self.text.split_once('=') else { return Err(broken("no `=`".into())) };
        let Some((path, value)) = key_path(&self.text) else {
            return Err(broken(format!("`{key}` is not a key")));
        };
        if value.trim().is_empty() {
            return Err(broken("no value".into()));
        }
        let value = match DeValue::parse(value) {
            Ok(parsed) => parsed,
            Err(error) if value.trim_start().starts_with(['"', '\'', '[', '{']) => {
                return Err(self.syntax(&error));
            }
            Err(_) => Spanned::new(0..value.len(), DeValue::String(Cow::Borrowed(value.trim()))),
        };
        // Builds tables from the innermost key outwards.
        Ok(path.into_iter().rev().fold(value, |inside, part| {
            let span = 0..key.len();
            let part = Spanned::new(span.clone(), part);
            Spanned::new(span, DeValue::Table(DeTable::from_iter([(part, inside)])))
        }))
    }

    /// Returns a syntax error in one line.
    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let byte = error.span().map_or(0, |span| span.start);
        ConfigError::new(self.place(byte), error.message().trim().replace('\n', "; "))
    }
}

/// Returns the parts of the key before a `=`, and the text after that. Parts are bare or in quotes, as in
/// TOML.
fn key_path(text: &str) -> Option<(Vec<Cow<'_, str>>, &str)> {
    let (mut path, mut rest) = (Vec::new(), text);
    loop {
        let first = rest.chars().next()?;
        let (part, behind) = if let '"' | '\'' = first {
            let closes = |(at, c): &(usize, char)| {
                *at > 0 && *c == first && (first == '\'' || !rest[..*at].ends_with('\\'))
            };
            let (end, _) = rest.char_indices().find(closes)?;
            let DeValue::String(part) = DeValue::parse(&rest[..=end]).ok()?.into_inner() else { return None };
            (part, &rest[end + 1..])
        } else {
            let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let end = rest.find(|c| !is_bare(c)).filter(|end| *end > 0)?;
            (Cow::Borrowed(&rest[..end]), &rest[end..])
        };
        path.push(part);
        match behind.strip_prefix('.') {
            Some(more) => rest = more,
            None => return behind.strip_prefix('=').map(|value| (path, value)),
        }
    }
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
