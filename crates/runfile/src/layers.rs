//! Reads a run file in layers: the file, its overlays, each `--set`, and the preset below all of them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::DeValue;

use crate::conflict::Consistent;
use crate::error::ConfigError;
use crate::explain::{conflicting, explain};
use crate::nearest::nearest;
use crate::node::Node;
use crate::source::Source;

/// Names sets of defaults for a key at the top level: `preset = "trl"`.
pub struct Presets<'p> {
    /// The key.
    pub key: &'p str,
    /// The accepted names.
    pub names: Vec<&'p str>,
    /// Returns the TOML of a name, which may depend on choices in the layers above.
    pub text: &'p dyn Fn(&str, &Layers) -> String,
}

/// Holds the layers of a run file before they are merged.
///
/// A later layer's keys replace an earlier one's, and tables are merged. For a choice, another variant
/// replaces the first with all its keys. The type of [`Layers::resolve`] determines which keys are choices.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The sources, lowest first, except that the preset comes last.
    sources: Vec<Source>,
    /// The key that named the preset, if any. No type has it.
    preset_key: Option<String>,
}

impl Layers {
    /// Reads a TOML file, or starts from an empty one, and adds layers. Overlays come first, in their order,
    /// then each `key.path=value`, whose value is TOML or else a string. Relative paths inside the file stay
    /// relative to the current directory.
    ///
    /// # Errors
    /// If a file can't be read, or a text isn't TOML.
    pub fn read(path: Option<&Path>, overlays: &[PathBuf], sets: &[String]) -> Result<Self, ConfigError> {
        let files = path.into_iter().chain(overlays.iter().map(PathBuf::as_path)).map(Source::file);
        let mut sources = files.collect::<Result<Vec<_>, _>>()?;
        sources.extend(sets.iter().map(|set| Source::set(set)));
        let layers = Self { sources, preset_key: None };
        layers.parse()?;
        Ok(layers)
    }

    /// Adds the preset that the layers name, below all of them.
    ///
    /// # Errors
    /// If there is no preset of that name.
    pub fn over(mut self, presets: &Presets<'_>) -> Result<Self, ConfigError> {
        let Some((name, place)) = self.preset_name(presets)? else { return Ok(self) };
        if !presets.names.contains(&name.as_str()) {
            let known = || format!("known here are {}", presets.names.join(", "));
            let near = nearest(&name, presets.names.iter().copied());
            let hint = near.map_or_else(known, |near| format!("did you mean `{near}`?"));
            return Err(ConfigError::new(place, format!("unknown {} `{name}`", presets.key)).hint(hint));
        }
        let text = (presets.text)(&name, &self);
        self.sources.push(Source::preset(format!("{} {name}", presets.key), text));
        self.preset_key = Some(presets.key.into());
        self.parse()?;
        Ok(self)
    }

    /// Returns the name of the preset and its place.
    fn preset_name(&self, presets: &Presets<'_>) -> Result<Option<(String, String)>, ConfigError> {
        let tables = self.parse()?;
        let Some(found) = self.root(&tables).get(presets.key) else { return Ok(None) };
        let place =
            found.place().map_or_else(String::new, |place| self.sources[place.source].place(place.byte));
        let Some(name) = found.text() else {
            let known = format!("known here are {}", presets.names.join(", "));
            return Err(ConfigError::new(place, format!("`{}` is not a name", presets.key)).hint(known));
        };
        Ok(Some((name.into(), place)))
    }

    /// Returns whether a layer has a key at the top level.
    pub fn has(&self, key: &str) -> bool {
        self.parse().is_ok_and(|tables| self.root(&tables).get(key).is_some())
    }

    /// Returns the variant that a key at the top level names, known or not.
    pub fn variant(&self, key: &str) -> Option<String> {
        let tables = self.parse().ok()?;
        self.root(&tables).get(key)?.variant().map(str::to_string)
    }

    /// Merges the layers into a configuration and checks its keys against each other.
    ///
    /// # Errors
    /// If a key is unknown, absent or out of its range, or keys conflict. The error has the line.
    pub fn resolve<C: DeserializeOwned + Consistent>(&self) -> Result<C, ConfigError> {
        let tables = self.parse()?;
        let config = C::deserialize(self.root(&tables)).map_err(|fault| explain(&fault, &self.sources))?;
        match config.conflict() {
            Some(conflict) => Err(conflicting(&conflict, &self.sources, self.root(&tables))),
            None => Ok(config),
        }
    }

    /// Parses the table of each source.
    fn parse(&self) -> Result<Vec<Spanned<DeValue<'_>>>, ConfigError> {
        let mut tables = self.sources.iter().map(Source::parse).collect::<Result<Vec<_>, _>>()?;
        for table in &mut tables {
            if let (DeValue::Table(table), Some(key)) = (table.get_mut(), &self.preset_key) {
                table.remove(key.as_str());
            }
        }
        Ok(tables)
    }

    fn root<'l>(&self, tables: &'l [Spanned<DeValue<'l>>]) -> Node<'l> {
        let mut layers: Vec<_> = tables.iter().enumerate().collect();
        let preset = if self.preset_key.is_some() { layers.pop() } else { None };
        Node::root(preset, layers)
    }
}

/// Writes a resolved configuration as TOML that [`Layers`] read back.
///
/// # Panics
/// If TOML can't express the configuration, for example a table whose keys aren't text.
pub fn to_toml(config: &impl Serialize) -> String {
    toml::to_string(config).expect("a config holds tables, arrays, strings, numbers and booleans")
}

#[cfg(test)]
mod tests;
