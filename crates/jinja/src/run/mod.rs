//! Renders a template by running its statements in order.

pub(crate) mod access;
pub(crate) mod arguments;
pub(crate) mod evaluate;
pub(crate) mod loops;

use std::sync::Arc;

use crate::Moment;
use crate::budget::{Budget, Outcome, fail};
use crate::read::syntax::{Expr, Kind, Macro, Stmt, Target};
use crate::run::loops::Loop;
use crate::text::spelling;
use crate::value::iterate;
use crate::value::{Text, Value};

/// Holds variables, and the scope around them.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) around: usize,
    pub(crate) variables: Vec<(Arc<str>, Value)>,
}

/// Says where execution continues after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
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
    outputs: Vec<String>,
    /// The texts behind filters of blocks.
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

    /// Returns the text of all statements.
    pub(crate) fn all(&mut self, body: &'t [Stmt]) -> Outcome<String> {
        self.body(body)?;
        Ok(std::mem::take(&mut self.outputs[0]))
    }

    pub(crate) fn write(&mut self, text: &str) -> Outcome<()> {
        self.budget.write(text.len())?;
        self.outputs.last_mut().expect("an output is open").push_str(text);
        Ok(())
    }

    /// Returns the text that a body writes, in a separate scope.
    pub(crate) fn captured(&mut self, body: &'t [Stmt]) -> Outcome<String> {
        self.begin_output();
        let done = self.scoped(|run| run.body(body));
        let text = self.end_output();
        done.map(|_| text)
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
        let global = crate::builtin::globals::NAMES.iter().find(|known| **known == name);
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

    pub(crate) fn body(&mut self, body: &'t [Stmt]) -> Outcome<Flow> {
        self.budget.enter()?;
        for statement in body {
            self.line = statement.line;
            let flow = self.statement(&statement.kind)?;
            if flow != Flow::Next {
                self.budget.leave();
                return Ok(flow);
            }
        }
        self.budget.leave();
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &'t Kind) -> Outcome<Flow> {
        self.budget.spend(1)?;
        match statement {
            Kind::Data(text) => self.write(text)?,
            Kind::Print(value) => self.print(value)?,
            Kind::Set(target, value) => {
                let value = self.evaluate(value)?;
                self.assign(target, value)?;
            }
            Kind::SetBlock(target, body, filters) => {
                let text = self.captured(body)?;
                let value = self.filtered(text, filters)?;
                self.assign(target, value)?;
            }
            Kind::If(branches, otherwise) => {
                for (test, body) in branches {
                    if self.evaluate(test)?.truth() {
                        return self.body(body);
                    }
                }
                return self.body(otherwise);
            }
            Kind::For(one) => self.for_loop(one)?,
            Kind::With(values, body) => self.with(values, body)?,
            Kind::Macro(new) => {
                let value = self.define(new)?;
                self.set(&new.name, value)?;
            }
            Kind::Call(inner, call) => {
                let caller = self.define(inner)?;
                let value = self.called(call, Some(caller))?;
                self.write_value(&value)?;
            }
            Kind::Filter(filters, body) => {
                let text = self.captured(body)?;
                let value = self.filtered(text, filters)?;
                self.write_value(&value)?;
            }
            Kind::Escape(on, body) => {
                let before = self.escapes;
                self.escapes = self.evaluate(on)?.truth();
                self.scoped(|run| run.body(body))?;
                self.escapes = before;
            }
            Kind::Scope(body) => drop(self.scoped(|run| run.body(body))?),
            Kind::Break => return Ok(Flow::Break),
            Kind::Continue => return Ok(Flow::Continue),
            Kind::Other => return fail("a chat template can't read other templates"),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &'t Expr) -> Outcome<()> {
        let value = self.evaluate(value)?;
        self.write_value(&value)
    }

    fn write_value(&mut self, value: &Value) -> Outcome<()> {
        match value {
            Value::Text(text) if text.safe || !self.escapes => self.write(&text.text),
            value => {
                let mut text = spelling::str(value, &mut self.budget)?;
                if self.escapes {
                    text = crate::text::escape::escape(&text, &mut self.budget)?;
                }
                self.write(&text)
            }
        }
    }

    fn filtered(&mut self, text: String, filters: &'t Expr) -> Outcome<Value> {
        let body = self.block_text(text);
        self.bodies.push(body);
        let value = self.evaluate(filters)?;
        self.bodies.pop();
        Ok(value)
    }

    /// Evaluates all values in the outer scope.
    fn with(&mut self, values: &'t [(Target, Expr)], body: &'t [Stmt]) -> Outcome<()> {
        let mut all = Vec::new();
        for (target, value) in values {
            all.push((target, self.evaluate(value)?));
        }
        self.scoped(|run| {
            for (target, value) in all {
                run.assign(target, value)?;
            }
            run.body(body)
        })?;
        Ok(())
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
