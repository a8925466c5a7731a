//! Loops, and the variable `loop`.

use std::collections::VecDeque;

use crate::budget::{Outcome, fail};
use crate::read::syntax::For;
use crate::run::Flow;
use crate::run::arguments::{Arguments, required};
use crate::run::state::{Loop, Run};
use crate::value::Value;
use crate::value::compare::equal;
use crate::value::iterate;

impl<'t> Run<'t> {
    pub(crate) fn for_loop(&mut self, what: &'t For) -> Outcome<()> {
        let over = self.evaluate(&what.over)?;
        self.loop_over(what, &over, self.scope, 0)
    }

    fn loop_over(&mut self, what: &'t For, over: &Value, around: usize, depth: i128) -> Outcome<()> {
        let sized = !matches!(over, Value::Iterator(..)) && what.test.is_none();
        let rest: VecDeque<Value> = iterate::values(over, &mut self.budget)?.into();
        let at = self.loops.len();
        let first = Value::undefined("there is no previous item");
        self.budget.values(8)?;
        self.loops.push(Loop {
            what,
            around,
            length: sized.then_some(rest.len()),
            rest,
            ahead: VecDeque::new(),
            index: -1,
            now: first.clone(),
            before: first,
            depth,
            last: None,
        });
        let mut any = false;
        while let Some(item) = self.next_item(at)? {
            any = true;
            let state = &mut self.loops[at];
            state.index += 1;
            state.before = std::mem::replace(&mut state.now, item.clone());
            let flow = self.within(around, |run| {
                run.set(&"loop".into(), Value::Loop(at))?;
                run.assign(&what.target, item)?;
                run.body(&what.body)
            })?;
            if flow == Flow::Break {
                break;
            }
        }
        // The remaining items aren't needed any more, but the loop's variables may be.
        self.loops[at].rest.clear();
        if !any {
            self.within(around, |run| run.body(&what.otherwise))?;
        }
        Ok(())
    }

    /// Returns the next item that passes the loop's test.
    fn next_item(&mut self, at: usize) -> Outcome<Option<Value>> {
        if let Some(item) = self.loops[at].ahead.pop_front() {
            return Ok(Some(item));
        }
        while let Some(item) = self.loops[at].rest.pop_front() {
            self.budget.spend(1)?;
            let Loop { what, around, .. } = self.loops[at];
            let Some(test) = &what.test else { return Ok(Some(item)) };
            let passes = self.within(around, |run| {
                run.assign(&what.target, item.clone())?;
                Ok(run.evaluate(test)?.truth())
            })?;
            if passes {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Returns the item after the current one.
    fn peek(&mut self, at: usize) -> Outcome<Option<Value>> {
        let next = self.next_item(at)?;
        if let Some(item) = &next {
            self.loops[at].ahead.push_front(item.clone());
        }
        Ok(next)
    }

    pub(crate) fn loop_length(&mut self, at: usize) -> Outcome<i128> {
        if let Some(length) = self.loops[at].length {
            return Ok(length as i128);
        }
        let mut ahead = VecDeque::new();
        while let Some(item) = self.next_item(at)? {
            ahead.push_back(item);
        }
        let state = &mut self.loops[at];
        let length = state.index + 1 + ahead.len() as i128;
        state.ahead = ahead;
        state.length = Some(length as usize);
        Ok(length)
    }

    pub(crate) fn loop_attribute(&mut self, at: usize, name: &str) -> Outcome<Option<Value>> {
        let index = self.loops[at].index;
        Ok(Some(match name {
            "index" => Value::Int(index + 1),
            "index0" => Value::Int(index),
            "revindex" => Value::Int(self.loop_length(at)? - index),
            "revindex0" => Value::Int(self.loop_length(at)? - index - 1),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(self.peek(at)?.is_none()),
            "length" => Value::Int(self.loop_length(at)?),
            "depth" => Value::Int(self.loops[at].depth + 1),
            "depth0" => Value::Int(self.loops[at].depth),
            "previtem" => self.loops[at].before.clone(),
            "nextitem" => self.peek(at)?.unwrap_or_else(|| Value::undefined("there is no next item")),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn loop_method(&mut self, at: usize, name: &str, args: Arguments) -> Outcome<Value> {
        if let Some((name, _)) = args.named.first() {
            return fail(format!("got an unexpected keyword argument '{name}'"));
        }
        let items = args.positional;
        if name == "cycle" {
            if items.is_empty() {
                return fail("no items for cycling given");
            }
            let place = self.loops[at].index.rem_euclid(items.len() as i128) as usize;
            return Ok(items[place].clone());
        }
        let last = self.loops[at].last.take();
        let mut same = last.as_ref().is_some_and(|last| last.len() == items.len());
        for (a, b) in last.iter().flatten().zip(&items) {
            same = same && equal(a, b, &mut self.budget)?;
        }
        self.budget.values(items.len())?;
        self.loops[at].last = Some(items);
        Ok(Value::Bool(!same))
    }

    /// Computes `loop(items)`: runs the loop again over these.
    pub(crate) fn call_loop(&mut self, at: usize, args: Arguments) -> Outcome<Value> {
        let [items] = args.bind("loop", ["iterable"])?;
        let items = required(items, "loop", "iterable")?;
        let Loop { what, around, depth, .. } = self.loops[at];
        if !what.recursive {
            return fail("The loop must have the 'recursive' marker to be called recursively.");
        }
        self.budget.enter()?;
        let line = self.line;
        self.begin_output();
        let done = self.loop_over(what, &items, around, depth + 1);
        let text = self.end_output();
        done?;
        self.line = line;
        self.budget.leave();
        Ok(self.block_text(text))
    }
}
