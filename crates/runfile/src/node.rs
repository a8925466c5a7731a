//! Holds one key of a run file in all layers, and merges them by the key's type.
//!
//! Tables are merged key by key, and any other value replaces lower ones. A choice is merged as long as the
//! layers name the same variant; another variant replaces the first with all its keys. Only the type of the
//! key tells a choice from a table, so the layers are merged while the type is read.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use crate::fault::{Fault, Place};

/// Marks a type as a choice, for reading its layers. The type's `Deserialize` asks for a newtype struct of
/// this name, and reads a name or a table with one key inside it. Serde's enums are choices without it.
pub const CHOICE: &str = "turnwise_runfile::choice";

/// Holds the value of one layer.
#[derive(Debug, Clone, Copy)]
struct Entry<'l> {
    source: usize,
    /// Whether it is the preset, which lies below the result of all other layers.
    is_preset: bool,
    /// The byte where its key begins.
    key: usize,
    value: &'l Spanned<DeValue<'l>>,
}

impl<'l> Entry<'l> {
    fn place(&self) -> Place {
        Place { source: self.source, byte: self.value.span().start }
    }

    fn key_place(&self) -> Place {
        Place { source: self.source, byte: self.key }
    }

    fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Returns the variant that a choice names: as a string, or as a table with one key.
    fn variant(&self) -> Option<&'l str> {
        match self.value.get_ref() {
            DeValue::String(name) => Some(name),
            DeValue::Table(table) if table.len() == 1 => {
                table.keys().next().map(|key| key.get_ref().as_ref())
            }
            _ => None,
        }
    }
}

/// Holds a key's values, lowest layer first. A table without keys may come from no layer at all.
#[derive(Debug, Clone)]
pub(crate) struct Node<'l> {
    entries: Vec<Entry<'l>>,
    /// The key's place; none at the root, whose errors name no line.
    place: Option<Place>,
}

impl<'l> Node<'l> {
    /// Returns the root of a file: the table and source of any preset, and those of the layers.
    pub(crate) fn root(
        preset: Option<(usize, &'l Spanned<DeValue<'l>>)>,
        layers: impl IntoIterator<Item = (usize, &'l Spanned<DeValue<'l>>)>,
    ) -> Self {
        let entry = |is_preset| move |(source, value)| Entry { source, is_preset, key: 0, value };
        let layers = layers.into_iter().map(entry(false));
        Self { entries: preset.into_iter().map(entry(true)).chain(layers).collect(), place: None }
    }

    fn of(entries: Vec<Entry<'l>>) -> Self {
        let mut node = Self { entries, place: None };
        node.place = node.base().map(|entry| entry.place());
        node
    }

    fn empty(place: Place) -> Self {
        Self { entries: Vec::new(), place: Some(place) }
    }

    /// Returns the highest layers that all satisfy `holds`, and the preset if it does.
    fn top(&self, holds: impl Fn(&Entry<'l>) -> bool) -> Vec<Entry<'l>> {
        let other = self.entries.iter().rposition(|entry| !entry.is_preset && !holds(entry));
        let from = other.map_or(0, |at| at + 1);
        let counts = |(at, entry): &(usize, &Entry<'l>)| (entry.is_preset || *at >= from) && holds(entry);
        self.entries.iter().enumerate().filter(counts).map(|(_, entry)| *entry).collect()
    }

    /// Returns the tables that are merged: those above any other value. Empty if the value isn't a table.
    fn tables(&self) -> Vec<Entry<'l>> {
        if self.entries.last().is_some_and(Entry::is_table) { self.top(Entry::is_table) } else { Vec::new() }
    }

    /// Returns the lowest entry that counts.
    fn base(&self) -> Option<Entry<'l>> {
        self.tables().first().or(self.entries.last()).copied()
    }

    /// Returns the place of the key.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// Returns the keys of a table.
    fn keys(&self) -> BTreeMap<&'l str, Node<'l>> {
        let mut keys: BTreeMap<&str, Vec<Entry<'_>>> = BTreeMap::new();
        for table in self.tables() {
            for (key, value) in table.value.get_ref().as_table().into_iter().flatten() {
                let entry = Entry { key: key.span().start, value, ..table };
                keys.entry(key.get_ref().as_ref()).or_default().push(entry);
            }
        }
        keys.into_iter().map(|(key, entries)| (key, Self::of(entries))).collect()
    }

    /// Returns a key of the table.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        self.keys().remove(key)
    }

    /// Returns the value, if it is text.
    pub(crate) fn text(&self) -> Option<&'l str> {
        self.entries.last().and_then(|entry| entry.value.get_ref().as_str())
    }

    /// Returns the chosen variant, if the value names one.
    pub(crate) fn variant(&self) -> Option<&'l str> {
        self.entries.last().and_then(Entry::variant)
    }

    /// Drops the layers below one that names another variant. A name alone has no keys.
    fn chosen(self) -> Self {
        let Some(variant) = self.variant() else {
            return Self::of(self.entries.last().copied().into_iter().collect());
        };
        let same = self.top(|entry| entry.variant() == Some(variant));
        let tables: Vec<Entry<'_>> = same.iter().filter(|entry| entry.is_table()).copied().collect();
        Self::of(if tables.is_empty() { same[..1].to_vec() } else { tables })
    }

    /// Returns the names of a table's keys.
    fn names(&self) -> Vec<&'l str> {
        self.keys().into_keys().collect()
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let place = self.place;
        match self.entries.last() {
            Some(entry) if !entry.is_table() => ValueDeserializer::from(entry.value.clone())
                .deserialize_any(visitor)
                .map_err(leaf(entry.source)),
            _ => visitor.visit_map(Keys { rest: self.keys().into_iter(), value: None }),
        }
        .map_err(|fault| fault.at(place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let place = self.place;
        visitor.visit_some(self).map_err(|fault| fault.at(place))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let node = if name == CHOICE { self.chosen() } else { self };
        let place = node.place;
        visitor.visit_newtype_struct(node).map_err(|fault| fault.at(place))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let node = self.chosen();
        let place = node.place;
        let Some(entry) = node.entries.last() else {
            return Err(Fault::new("nothing is chosen", place));
        };
        let chosen = match (entry.value.get_ref(), node.names().as_slice()) {
            (DeValue::String(name), _) => Variant { name, key: entry.place(), held: None },
            (DeValue::Table(_), [name]) => {
                let held = node.get(name);
                let key = held.as_ref().and_then(Node::base).map_or(entry.place(), |entry| entry.key_place());
                Variant { name, key, held }
            }
            (DeValue::Table(_), []) => return Err(Fault::new("nothing is chosen", place)),
            (DeValue::Table(_), several) => {
                let several = several.join(" and ");
                return Err(Fault::new(format!("{several} are both chosen: keep one"), place));
            }
            _ => {
                let value = ValueDeserializer::from(entry.value.clone());
                return value.deserialize_enum(name, variants, visitor).map_err(leaf(entry.source));
            }
        };
        visitor.visit_enum(chosen).map_err(|fault| fault.at(place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Converts an error about a value inside one layer.
fn leaf(source: usize) -> impl Fn(toml::de::Error) -> Fault {
    move |error| {
        let place = error.span().map(|span| Place { source, byte: span.start });
        Fault::new(error.message(), place)
    }
}

/// Reads the keys of a table in order.
struct Keys<'l> {
    rest: IntoIter<&'l str, Node<'l>>,
    value: Option<(&'l str, Node<'l>)>,
}

impl<'de> MapAccess<'de> for Keys<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, node)) = self.rest.next() else { return Ok(None) };
        let place = node.base().map(|entry| entry.key_place());
        self.value = Some((key, node));
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some).map_err(|fault: Fault| fault.at(place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) = self.value.take().expect("a value is read after its key");
        let place = node.place;
        seed.deserialize(node).map_err(|fault| fault.at(place).under(key))
    }
}

/// Holds a chosen variant: its name and its keys, none for a name alone.
struct Variant<'l> {
    name: &'l str,
    /// The place of the name.
    key: Place,
    held: Option<Node<'l>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name = seed.deserialize(BorrowedStrDeserializer::new(self.name));
        Ok((name.map_err(|fault: Fault| fault.at(Some(self.key)))?, self))
    }
}

impl<'de> Variant<'de> {
    /// A name alone is that variant with its defaults.
    fn node(self) -> Node<'de> {
        self.held.unwrap_or_else(|| Node::empty(self.key))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        let (name, node) = (self.name, self.node());
        let is_empty = node.entries.last().is_none_or(Entry::is_table) && node.keys().is_empty();
        if is_empty { Ok(()) } else { Err(Fault::new("expected empty table", node.place).under(name)) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let name = self.name;
        seed.deserialize(self.node()).map_err(|fault| fault.under(name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        let name = self.name;
        self.node().deserialize_any(visitor).map_err(|fault| fault.under(name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let name = self.name;
        self.node().deserialize_any(visitor).map_err(|fault| fault.under(name))
    }
}
