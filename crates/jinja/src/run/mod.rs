//! Renders a template by running its statements in order.

pub(crate) mod access;
pub(crate) mod arguments;
pub(crate) mod evaluate;
pub(crate) mod loops;
pub(crate) mod state;

use crate::budget::{Outcome, fail};
use crate::read::syntax::{Expr, Kind, Stmt, Target};
use crate::run::state::Run;
use crate::text::spelling;
use crate::value::Value;

/// Says where execution continues after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Next,
    Break,
    Continue,
}

impl<'t> Run<'t> {
    /// Returns the text of all statements.
    pub(crate) fn all(&mut self, body: &'t [Stmt]) -> Outcome<String> {
        self.body(body)?;
        Ok(std::mem::take(&mut self.outputs[0]))
    }

    /// Returns the text that a body writes, in a separate scope.
    pub(crate) fn captured(&mut self, body: &'t [Stmt]) -> Outcome<String> {
        self.begin_output();
        let done = self.scoped(|run| run.body(body));
        let text = self.end_output();
        done.map(|_| text)
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
}
