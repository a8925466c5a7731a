//! The values of a template, with the semantics of Python's.

pub(crate) mod arithmetic;
pub(crate) mod compare;
pub(crate) mod containers;
pub(crate) mod iterate;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::budget::{Budget, NESTED, Outcome, fail};

/// Holds a value. Copies are cheap.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// An undefined value and the reason: it prints as nothing, and fails where a value is needed.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Text),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    Dict(Rc<Dict>),
    /// Start, end, step.
    Range(i128, i128, i128),
    View(View, Rc<Dict>),
    /// A value that can be read once.
    Iterator(Rc<RefCell<VecDeque<Value>>>, u32),
    /// A namespace, a macro, a loop, a cycler or a joiner, by its index in the rendering.
    Namespace(usize),
    Macro(usize),
    Loop(usize),
    Cycler(usize),
    Joiner(usize),
    /// A function of the engine.
    Global(&'static str),
    /// A method and its object.
    Method(Rc<(Value, Arc<str>)>),
}

/// Holds a text, and whether it is markup, to which other text is added escaped.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) text: Arc<str>,
    pub(crate) safe: bool,
}

/// Holds the items of a list or a tuple.
#[derive(Debug)]
pub(crate) struct Items {
    pub(crate) values: Vec<Value>,
    /// Levels of values in them.
    depth: u32,
    /// A group of the filter `groupby`, whose two items have names.
    pub(crate) group: bool,
}

/// Holds a dictionary, in the order of its insertion.
#[derive(Debug)]
pub(crate) struct Dict {
    pub(crate) pairs: Vec<(Value, Value)>,
    depth: u32,
}

/// Names the results of `keys()`, `values()` and `items()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Keys,
    Values,
    Items,
}

/// Returns one level above the deepest of these.
fn above<'v>(values: impl Iterator<Item = &'v Value>) -> Outcome<u32> {
    let depth = 1 + values.map(Value::depth).max().unwrap_or(0);
    if depth > NESTED { fail("values lie too deep in each other") } else { Ok(depth) }
}

impl Value {
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(Text { text: text.into(), safe: false })
    }

    pub(crate) fn undefined(why: impl Into<Rc<str>>) -> Self {
        Self::Undefined(why.into())
    }

    pub(crate) fn list(values: Vec<Value>, budget: &mut Budget) -> Outcome<Self> {
        budget.values(values.len())?;
        Ok(Self::List(Rc::new(Items { depth: above(values.iter())?, values, group: false })))
    }

    pub(crate) fn tuple(values: Vec<Value>, budget: &mut Budget) -> Outcome<Self> {
        budget.values(values.len())?;
        Ok(Self::Tuple(Rc::new(Items { depth: above(values.iter())?, values, group: false })))
    }

    /// Returns a group of the filter `groupby`.
    pub(crate) fn group(key: Value, values: Value) -> Outcome<Self> {
        let values = vec![key, values];
        Ok(Self::Tuple(Rc::new(Items { depth: above(values.iter())?, values, group: true })))
    }

    pub(crate) fn dict(pairs: Vec<(Value, Value)>, budget: &mut Budget) -> Outcome<Self> {
        budget.values(2 * pairs.len())?;
        let depth = above(pairs.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Self::Dict(Rc::new(Dict { pairs, depth })))
    }

    pub(crate) fn iterator(values: Vec<Value>, budget: &mut Budget) -> Outcome<Self> {
        budget.values(values.len())?;
        let depth = above(values.iter())?;
        Ok(Self::Iterator(Rc::new(RefCell::new(values.into())), depth))
    }

    fn depth(&self) -> u32 {
        match self {
            Self::List(items) | Self::Tuple(items) => items.depth,
            Self::Dict(dict) | Self::View(_, dict) => dict.depth,
            Self::Iterator(_, depth) => *depth,
            Self::Method(method) => 1 + method.0.depth(),
            _ => 0,
        }
    }

    /// Converts JSON to a value.
    pub(crate) fn from_json(json: &Json, budget: &mut Budget) -> Outcome<Self> {
        Ok(match json {
            Json::Null => Self::None,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number.into()),
                (None, Some(number)) => Self::Int(number.into()),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text.as_str()),
            Json::Array(items) => {
                let items = items.iter().map(|item| Self::from_json(item, budget)).collect::<Outcome<_>>()?;
                Self::list(items, budget)?
            }
            Json::Object(pairs) => {
                let pair = |(key, value): (&String, &Json)| {
                    Ok((Self::text(key.as_str()), Self::from_json(value, budget)?))
                };
                let pairs = pairs.iter().map(pair).collect::<Outcome<_>>()?;
                Self::dict(pairs, budget)?
            }
        })
    }

    /// Returns the name of its type in Python.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(Text { safe: false, .. }) => "str",
            Self::Text(_) => "Markup",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Range(..) => "range",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Iterator(..) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Macro(_) => "Macro",
            Self::Loop(_) => "LoopContext",
            Self::Cycler(_) => "Cycler",
            Self::Joiner(_) => "Joiner",
            Self::Global(_) => "function",
            Self::Method(_) => "builtin_function_or_method",
        }
    }

    /// Returns whether it counts as true.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.values.is_empty(),
            Self::Dict(dict) | Self::View(_, dict) => !dict.pairs.is_empty(),
            Self::Range(start, end, step) => range_length(*start, *end, *step) > 0,
            _ => true,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// Returns an integer, or a truth value as one.
    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(i128::from(*truth)),
            _ => None,
        }
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            other => other.as_int().map(|number| number as f64),
        }
    }

    /// Returns an integer argument.
    pub(crate) fn int(&self) -> Outcome<i128> {
        match (self.as_int(), self) {
            (Some(number), _) => Ok(number),
            (_, Self::Undefined(why)) => fail(&**why),
            _ => fail(format!("'{}' object cannot be interpreted as an integer", self.type_name())),
        }
    }

    /// Returns a text argument.
    pub(crate) fn str(&self) -> Outcome<&str> {
        match (self.as_str(), self) {
            (Some(text), _) => Ok(text),
            (_, Self::Undefined(why)) => fail(&**why),
            _ => fail(format!("expected str, got {}", self.type_name())),
        }
    }
}

/// Counts the numbers of a range.
pub(crate) fn range_length(start: i128, end: i128, step: i128) -> usize {
    let span = if step > 0 { end - start } else { start - end };
    if span <= 0 { 0 } else { ((span - 1) / step.abs() + 1) as usize }
}

impl Budget {
    /// Spends the bytes of `values` values.
    pub(crate) fn values(&mut self, values: usize) -> Outcome<()> {
        self.spend(values)?;
        self.write(values.saturating_mul(size_of::<Value>()))
    }
}
