//! The state of a rendering: variables in scopes, loops, written text, and what is left of its budget.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Moment;
use crate::budget::{Budget, Outcome, fail};
use crate::builtin::names::FUNCTIONS;
use crate::read::syntax::{For, Macro, Target};
use crate::value::iterate;
use crate::value::{Text, Value};

/// Holds variables, and the scope around them.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) around: usize,
    pub(crate) variables: Vec<(Arc<str>, Value)>,
}

/// Holds a loop in progress. Items are tested when they are reached, not before.
#[derive(Debug)]
pub(crate) struct Loop<'t> {
    pub(crate) what: &'t For,
    /// The scope around the loop.
    pub(crate) around: usize,
    /// Items that are not tested yet.
    pub(crate) rest: VecDeque<Value>,
    /// Items that were tested, and come next.
    pub(crate) ahead: VecDeque<Value>,
    /// Number of items, if it is known.
    pub(crate) length: Option<usize>,
    /// Index of the current item; the item and its predecessor follow.
    pub(crate) index: i128,
    pub(crate) now: Value,
    pub(crate) before: Value,
    /// Number of loops of the same tag around this one.
    pub(crate) depth: i128,
    /// The last arguments of `changed`.
    pub(crate) last: Option<Vec<Value>>,
}

/// Holds a rendering in progress.
pub(crate) struct Run<'t> {
    pub(crate) budget: Budget,
    pub(crate) now: Moment,
    /// The line of the current statement.
    pub(crate) line: usize,
    pub(crate) scopes: Vec<Scope>,
    /// The innermost scope.
    pub(crate) scope: usize,
    /// Scopes below this one are kept, because a macro reads them.
    kept: usize,
    pub(crate) namespaces: Vec<Vec<(Arc<str>, Value)>>,
    /// Macros and their scopes.
    pub(crate) macros: Vec<(&'t Macro, usize)>,
    pub(crate) loops: Vec<Loop<'t>>,
    /// Items and the index of the next.
    pub(crate) cyclers: Vec<(Vec<Value>, usize)>,
    /// Separators, and whether they were used.
    pub(crate) joiners: Vec<(Value, bool)>,
    /// Written text, one per open block.
    pub(crate) outputs: Vec<String>,
    /// The texts that filters of blocks get.
    pub(crate) bodies: Vec<Value>,
    /// Whether printed values are escaped.
    pub(crate) escapes: bool,
}

impl<'t> Run<'t> {
    pub(crate) fn new(variables: Vec<(Arc<str>, Value)>, now: Moment, budget: Budget) -> Self {
        Self {
            budget,
            now,
            line: 1,
            scopes: vec![Scope { around: 0, variables }, Scope::default()],
            scope: 1,
            kept: 0,
            namespaces: Vec::new(),
            macros: Vec::new(),
            loops: Vec::new(),
            cyclers: Vec::new(),
            joiners: Vec::new(),
            outputs: vec![String::new()],
            bodies: Vec::new(),
            escapes: false,
        }
    }

    pub(crate) fn write(&mut self, text: &str) -> Outcome<()> {
        self.budget.write(text.len())?;
        self.outputs.last_mut().expect("an output is open").push_str(text);
        Ok(())
    }

    pub(crate) fn begin_output(&mut self) {
        self.outputs.push(String::new());
    }

    pub(crate) fn end_output(&mut self) -> String {
        self.outputs.pop().expect("an output was begun")
    }

    /// Returns a captured text as a value: markup if printed values are escaped.
    pub(crate) fn block_text(&self, text: String) -> Value {
        Value::Text(Text { text: text.into(), safe: self.escapes })
    }

    /// Runs `work` in a new scope within the current one.
    pub(crate) fn scoped<T>(&mut self, work: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.within(self.scope, work)
    }

    /// Runs `work` in a new scope within another.
    pub(crate) fn within<T>(
        &mut self,
        around: usize,
        work: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<T> {
        self.budget.values(2)?;
        let (scope, before) = (self.scopes.len(), self.scope);
        self.scopes.push(Scope { around, variables: Vec::new() });
        self.scope = scope;
        let done = work(self);
        self.scope = before;
        if self.kept <= scope {
            self.scopes.truncate(scope);
        }
        done
    }

    pub(crate) fn set(&mut self, name: &Arc<str>, value: Value) -> Outcome<()> {
        let variables = &mut self.scopes[self.scope].variables;
        self.budget.spend(1 + variables.len() / 16)?;
        if let Some((_, place)) = variables.iter_mut().find(|(known, _)| known == name) {
            *place = value;
        } else {
            self.budget.values(2)?;
            variables.push((name.clone(), value));
        }
        Ok(())
    }

    /// Returns the value of a variable.
    pub(crate) fn variable(&mut self, name: &str) -> Outcome<Value> {
        let mut scope = self.scope;
        loop {
            let Scope { around, variables } = &self.scopes[scope];
            self.budget.spend(1 + variables.len() / 16)?;
            if let Some((_, value)) = variables.iter().find(|(known, _)| &**known == name) {
                return Ok(value.clone());
            }
            if scope == 0 {
                break;
            }
            scope = *around;
        }
        let global = FUNCTIONS.iter().find(|known| **known == name);
        Ok(global
            .map_or_else(|| Value::undefined(format!("'{name}' is undefined")), |name| Value::Global(name)))
    }

    /// Defines a macro that reads the current scope.
    pub(crate) fn define(&mut self, new: &'t Macro) -> Outcome<Value> {
        self.budget.values(2)?;
        self.kept = self.scopes.len();
        self.macros.push((new, self.scope));
        Ok(Value::Macro(self.macros.len() - 1))
    }

    pub(crate) fn assign(&mut self, target: &Target, value: Value) -> Outcome<()> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Attribute(namespace, name) => {
                let Value::Namespace(at) = self.variable(namespace)? else {
                    return fail("cannot assign attribute on non-namespace object");
                };
                self.set_attribute(at, name, value)
            }
            Target::Tuple(targets) => {
                let values = iterate::values(&value, &mut self.budget)?;
                if values.len() != targets.len() {
                    return fail(format!(
                        "expected {} values to unpack, got {}",
                        targets.len(),
                        values.len()
                    ));
                }
                targets.iter().zip(values).try_for_each(|(target, value)| self.assign(target, value))
            }
        }
    }

    pub(crate) fn set_attribute(&mut self, at: usize, name: &Arc<str>, value: Value) -> Outcome<()> {
        if name.starts_with('_') {
            return fail(format!("a namespace has no attributes with an underscore in front, as {name:?}"));
        }
        let attributes = &mut self.namespaces[at];
        self.budget.spend(1 + attributes.len() / 16)?;
        if let Some((_, place)) = attributes.iter_mut().find(|(known, _)| known == name) {
            *place = value;
        } else {
            self.budget.values(2)?;
            attributes.push((name.clone(), value));
        }
        Ok(())
    }
}
