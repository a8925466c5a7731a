//! Rows from columns: nested values by their levels of repetition and definition (Dremel, VLDB 2010, section
//! 4.3).

use parquet::basic::{ConvertedType, LogicalType, Repetition};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};

use crate::limits::{ROW, too_long};
use crate::table::leaf::Leaf;

/// Describes a place of a row: its content, and the level of definition from which it is there.
pub(super) struct Field {
    name: String,
    there: i16,
    /// Its first leaf, and the first one after it.
    leaves: std::ops::Range<usize>,
    shape: Shape,
}

enum Shape {
    Leaf,
    Group(Vec<Field>),
    /// An element is there from this level of definition on, and a further one has this level of repetition.
    List {
        element: Box<Field>,
        definition: i16,
        repetition: i16,
    },
    Map {
        key: Box<Field>,
        value: Box<Field>,
        definition: i16,
        repetition: i16,
    },
}

impl Field {
    /// Returns the indices of its leaves.
    pub(super) fn leaves(&self) -> std::ops::Range<usize> {
        self.leaves.clone()
    }
}

/// Levels at a place, and the next leaf.
#[derive(Clone, Copy)]
struct At {
    definition: i16,
    repetition: i16,
}

impl At {
    fn deeper(self) -> Self {
        Self { definition: self.definition + 1, ..self }
    }

    fn repeated(self) -> Self {
        Self { definition: self.definition + 1, repetition: self.repetition + 1 }
    }
}

/// Returns the columns of a table.
pub(super) fn columns(root: &Type) -> Vec<Field> {
    let at = At { definition: 0, repetition: 0 };
    let mut next = 0;
    root.get_fields().iter().map(|kind| field(kind, at, &mut next)).collect()
}

fn field(kind: &TypePtr, at: At, next: &mut usize) -> Field {
    let info = kind.get_basic_info();
    let repetition = if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED };
    match repetition {
        Repetition::REQUIRED => inside(kind, at, next),
        Repetition::OPTIONAL => inside(kind, at.deeper(), next),
        // Without a list around it, it is one.
        Repetition::REPEATED => {
            let first = *next;
            let element = inside(kind, at.repeated(), next);
            list(kind, at, first, element)
        }
    }
}

fn list(kind: &Type, at: At, first: usize, element: Field) -> Field {
    let inner = at.repeated();
    Field {
        name: kind.name().into(),
        there: at.definition,
        leaves: first..element.leaves.end,
        shape: Shape::List {
            element: Box::new(element),
            definition: inner.definition,
            repetition: inner.repetition,
        },
    }
}

/// Returns the field of a type whose own repetition is in the levels already.
fn inside(kind: &TypePtr, at: At, next: &mut usize) -> Field {
    let first = *next;
    let shape = if kind.is_primitive() {
        *next += 1;
        Shape::Leaf
    } else if let Some(repeated) = repeated_child(kind, ConvertedType::LIST, &LogicalType::List) {
        let element = if is_element(kind, repeated) {
            inside(repeated, at.repeated(), next)
        } else {
            field(&repeated.get_fields()[0], at.repeated(), next)
        };
        return list(kind, at, first, element);
    } else if let Some([key, value]) = repeated_child(kind, ConvertedType::MAP, &LogicalType::Map)
        .or_else(|| repeated_child(kind, ConvertedType::MAP_KEY_VALUE, &LogicalType::Map))
        .filter(|pair| pair.is_group())
        .map(|pair| pair.get_fields())
    {
        let inner = at.repeated();
        let (key, value) = (field(key, inner, next), field(value, inner, next));
        let (key, value) = (Box::new(key), Box::new(value));
        Shape::Map { key, value, definition: inner.definition, repetition: inner.repetition }
    } else {
        Shape::Group(kind.get_fields().iter().map(|kind| field(kind, at, next)).collect())
    };
    Field { name: kind.name().into(), there: at.definition, leaves: first..*next, shape }
}

/// Returns the repeated child of a group that is marked so.
fn repeated_child<'a>(kind: &'a Type, old: ConvertedType, new: &LogicalType) -> Option<&'a TypePtr> {
    let info = kind.get_basic_info();
    let marked = info.converted_type() == old || info.logical_type_ref() == Some(new);
    match kind.get_fields() {
        [child] if marked => {
            let info = child.get_basic_info();
            (info.has_repetition() && info.repetition() == Repetition::REPEATED).then_some(child)
        }
        _ => None,
    }
}

/// Tells whether the repeated child of a list is its element: files of old have no group between them
/// (the rules of compatibility of parquet's LogicalTypes.md).
fn is_element(list: &Type, repeated: &Type) -> bool {
    if repeated.is_primitive() || repeated.get_fields().len() != 1 {
        return true;
    }
    let child = repeated.get_fields()[0].get_basic_info();
    let holds_lists = child.has_repetition() && child.repetition() == Repetition::REPEATED;
    let named = repeated.name() == "array" || repeated.name() == format!("{}_tuple", list.name());
    named && !holds_lists
}

/// Takes rows from the leaves of a row group.
pub(super) struct Assembly {
    pub(super) leaves: Vec<Box<dyn Leaf>>,
    /// Bytes that the row may still have.
    left: usize,
}

impl Assembly {
    pub(super) fn new(leaves: Vec<Box<dyn Leaf>>) -> Self {
        Self { leaves, left: 0 }
    }

    /// Returns the next row, of the columns that are `readable`. An error names its column.
    pub(super) fn row(&mut self, columns: &[Field], readable: &[bool]) -> Result<Map<String, Value>, String> {
        self.left = ROW;
        let mut row = Map::new();
        for (column, _) in columns.iter().zip(readable).filter(|(_, readable)| **readable) {
            let value = self.column(column).map_err(|what| format!("column {}: {what}", column.name))?;
            row.insert(column.name.clone(), value);
        }
        Ok(row)
    }

    fn column(&mut self, column: &Field) -> Result<Value, String> {
        for leaf in &mut self.leaves[column.leaves.clone()] {
            leaf.begin_row()?;
        }
        let value = self.value(column)?;
        let mut leaves = self.leaves[column.leaves.clone()].iter();
        let whole = leaves.all(|leaf| leaf.levels().is_none_or(|(_, repetition)| repetition == 0));
        if whole { Ok(value) } else { Err("its parts have different lengths".into()) }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or_else(too_long)?;
        Ok(())
    }

    fn levels(&self, field: &Field) -> Result<(i16, i16), String> {
        let first = self.leaves.get(field.leaves.start);
        first.and_then(|leaf| leaf.levels()).ok_or_else(|| "it ends inside a row".into())
    }

    /// Passes the place of a field that isn't there, or of a list without elements.
    fn pass(&mut self, field: &Field) -> Result<(), String> {
        self.leaves[field.leaves.clone()].iter_mut().try_for_each(|leaf| leaf.take().map(|_| ()))
    }

    /// Tells whether another element of a list follows.
    fn further(&self, field: &Field, repetition: i16) -> bool {
        self.levels(field).is_ok_and(|(_, found)| found >= repetition)
    }

    fn value(&mut self, field: &Field) -> Result<Value, String> {
        self.spend(field.name.len() + 8)?;
        if field.leaves.is_empty() {
            return Ok(Value::Object(Map::new()));
        }
        if self.levels(field)?.0 < field.there {
            self.pass(field)?;
            return Ok(Value::Null);
        }
        match &field.shape {
            Shape::Leaf => {
                let value = self.leaves[field.leaves.start].take()?;
                self.spend(value.as_str().map_or(8, str::len))?;
                Ok(value)
            }
            Shape::Group(fields) => {
                let mut group = Map::new();
                for field in fields {
                    let value = self.value(field)?;
                    // A struct has the keys of all rows. Those that this row lacks are null.
                    if !value.is_null() {
                        group.insert(field.name.clone(), value);
                    }
                }
                Ok(Value::Object(group))
            }
            Shape::List { element, definition, repetition } => {
                let mut list = Vec::new();
                if self.levels(field)?.0 < *definition {
                    self.pass(field)?;
                    return Ok(Value::Array(list));
                }
                loop {
                    list.push(self.value(element)?);
                    if !self.further(field, *repetition) {
                        return Ok(Value::Array(list));
                    }
                }
            }
            Shape::Map { key, value, definition, repetition } => {
                let mut map = Map::new();
                if self.levels(field)?.0 < *definition {
                    self.pass(field)?;
                    return Ok(Value::Object(map));
                }
                loop {
                    let name = match self.value(key)? {
                        Value::String(name) => name,
                        other => other.to_string(),
                    };
                    map.insert(name, self.value(value)?);
                    if !self.further(field, *repetition) {
                        return Ok(Value::Object(map));
                    }
                }
            }
        }
    }
}
