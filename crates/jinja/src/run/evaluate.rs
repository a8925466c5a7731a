//! Evaluates expressions.

use std::sync::Arc;

use crate::budget::{Outcome, fail};
use crate::builtin::{checks, filters, globals};
use crate::read::syntax::{Args, Comparison, Expr};
use crate::run::access;
use crate::run::arguments::Arguments;
use crate::run::state::Run;
use crate::text::{methods, spelling};
use crate::value::compare::{holds, put};
use crate::value::{Text, Value};
use crate::value::{arithmetic, containers, iterate};

impl<'t> Run<'t> {
    pub(crate) fn evaluate(&mut self, expression: &'t Expr) -> Outcome<Value> {
        self.budget.enter()?;
        let value = self.value(expression)?;
        self.budget.leave();
        Ok(value)
    }

    fn value(&mut self, expression: &'t Expr) -> Outcome<Value> {
        match expression {
            Expr::None => Ok(Value::None),
            Expr::Bool(truth) => Ok(Value::Bool(*truth)),
            Expr::Int(number) => Ok(Value::Int(*number)),
            Expr::Float(number) => Ok(Value::Float(*number)),
            Expr::Text(text) => Ok(Value::text(text.clone())),
            Expr::Name(name) => self.variable(name),
            Expr::Body => {
                self.bodies.last().map_or_else(|| fail("a filter has no value"), |body| Ok(body.clone()))
            }
            Expr::Tuple(items) => {
                let items = self.each(items)?;
                Value::tuple(items, &mut self.budget)
            }
            Expr::List(items) => {
                let items = self.each(items)?;
                Value::list(items, &mut self.budget)
            }
            Expr::Dict(pairs) => self.dict(pairs),
            Expr::Attribute(value, name) => {
                let value = self.evaluate(value)?;
                access::attribute(self, &value, name)
            }
            Expr::Item(value, key) => {
                let value = self.evaluate(value)?;
                let key = self.evaluate(key)?;
                access::item(self, &value, &key)
            }
            Expr::Slice(value, bounds) => self.slice(expression, value, bounds),
            Expr::Call(..) => self.called(expression, None),
            Expr::Filter(value, name, args) => {
                let value = self.evaluate(value)?;
                let args = self.arguments(args)?;
                filters::apply(self, name, &value, args)
            }
            Expr::Test(value, name, args) => {
                let value = self.evaluate(value)?;
                let args = self.arguments(args)?;
                checks::test(self, name, &value, args).map(Value::Bool)
            }
            Expr::Binary(operator, a, b) => {
                let a = self.evaluate(a)?;
                let b = self.evaluate(b)?;
                arithmetic::binary(*operator, &a, &b, &mut self.budget)
            }
            Expr::Concat(parts) => self.concat(parts),
            Expr::Compare(first, rest) => self.compare(first, rest),
            other => self.logic(other),
        }
    }

    /// Evaluates conditionals, logical operators and signs.
    fn logic(&mut self, expression: &'t Expr) -> Outcome<Value> {
        match expression {
            Expr::Not(value) => Ok(Value::Bool(!self.evaluate(value)?.truth())),
            Expr::Sign(value, negative) => {
                let value = self.evaluate(value)?;
                arithmetic::sign(&value, *negative)
            }
            Expr::And(a, b) => {
                let a = self.evaluate(a)?;
                if a.truth() { self.evaluate(b) } else { Ok(a) }
            }
            Expr::Or(a, b) => {
                let a = self.evaluate(a)?;
                if a.truth() { Ok(a) } else { self.evaluate(b) }
            }
            Expr::Choice(condition, value, otherwise) => {
                if self.evaluate(condition)?.truth() {
                    return self.evaluate(value);
                }
                match otherwise {
                    Some(otherwise) => self.evaluate(otherwise),
                    None => Ok(Value::undefined("an inline if without else has no value")),
                }
            }
            _ => unreachable!("all other expressions are evaluated above"),
        }
    }

    fn each(&mut self, items: &'t [Expr]) -> Outcome<Vec<Value>> {
        items.iter().map(|item| self.evaluate(item)).collect()
    }

    fn dict(&mut self, written: &'t [(Expr, Expr)]) -> Outcome<Value> {
        let mut pairs = Vec::new();
        for (key, value) in written {
            let key = self.evaluate(key)?;
            let value = self.evaluate(value)?;
            put(&mut pairs, key, value, &mut self.budget)?;
        }
        Value::dict(pairs, &mut self.budget)
    }

    fn slice(&mut self, whole: &'t Expr, value: &'t Expr, bounds: &'t [Option<Expr>; 3]) -> Outcome<Value> {
        let value = self.evaluate(value)?;
        let mut evaluated = [None, None, None];
        for (place, bound) in evaluated.iter_mut().zip(bounds) {
            *place = bound.as_ref().map(|bound| self.evaluate(bound)).transpose()?;
        }
        if let Some(found) = access::slice(&value, &evaluated, &mut self.budget)? {
            return Ok(found);
        }
        // Jinja2 evaluates constants before it renders, and there Python's error is an undefined value.
        let why = format!("'{}' object is not subscriptable", value.type_name());
        if whole.is_constant() { Ok(Value::undefined(why)) } else { fail(why) }
    }

    /// Concatenates texts. Unlike with `+`, markup is treated as text.
    fn concat(&mut self, parts: &'t [Expr]) -> Outcome<Value> {
        let mut out = String::new();
        for part in parts {
            let part = self.evaluate(part)?;
            let text = spelling::str(&part, &mut self.budget)?;
            let markup = matches!(&part, Value::Text(text) if text.safe);
            let text = if self.escapes && !markup {
                crate::text::escape::escape(&text, &mut self.budget)?
            } else {
                text
            };
            out.push_str(&text);
        }
        Ok(Value::Text(Text { text: out.into(), safe: self.escapes }))
    }

    fn compare(&mut self, first: &'t Expr, rest: &'t [(Comparison, Expr)]) -> Outcome<Value> {
        let mut left = self.evaluate(first)?;
        for (comparison, right) in rest {
            let right = self.evaluate(right)?;
            if !holds(*comparison, &left, &right, &mut self.budget)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// Evaluates a call, with the macro of a call block.
    pub(crate) fn called(&mut self, call: &'t Expr, caller: Option<Value>) -> Outcome<Value> {
        let Expr::Call(function, args) = call else { return fail("expected a call") };
        let function = self.evaluate(function)?;
        let mut args = self.arguments(args)?;
        args.named.extend(caller.map(|caller| ("caller".into(), caller)));
        self.call(&function, args)
    }

    fn call(&mut self, function: &Value, args: Arguments) -> Outcome<Value> {
        self.budget.spend(1)?;
        match function {
            Value::Global(name) => globals::call(self, name, args),
            Value::Macro(at) => self.call_macro(*at, args),
            Value::Loop(at) => self.call_loop(*at, args),
            Value::Joiner(at) => {
                let [] = args.bind("joiner", [])?;
                let (separator, used) = &mut self.joiners[*at];
                let first = !std::mem::replace(used, true);
                Ok(if first { Value::text("") } else { separator.clone() })
            }
            Value::Method(method) => match &method.0 {
                Value::Text(text) => methods::call(self, text, &method.1, args),
                Value::Loop(at) => self.loop_method(*at, &method.1, args),
                Value::Cycler(at) => {
                    let [] = args.bind("next", [])?;
                    let (items, next) = &mut self.cyclers[*at];
                    let item = items[*next].clone();
                    *next = if &*method.1 == "reset" { 0 } else { (*next + 1) % items.len() };
                    Ok(if &*method.1 == "reset" { Value::None } else { item })
                }
                Value::Global(_) => globals::from_keys(args, &mut self.budget),
                value => containers::call(value, &method.1, args, &mut self.budget),
            },
            Value::Undefined(why) => fail(&**why),
            other => fail(format!("'{}' object is not callable", other.type_name())),
        }
    }

    fn arguments(&mut self, args: &'t Args) -> Outcome<Arguments> {
        let mut all = Arguments { positional: self.each(&args.positional)?, named: Vec::new() };
        for (name, value) in &args.named {
            let value = self.evaluate(value)?;
            self.name_argument(&mut all, name.clone(), value)?;
        }
        if let Some(rest) = &args.rest {
            let rest = self.evaluate(rest)?;
            all.positional.extend(iterate::values(&rest, &mut self.budget)?);
        }
        if let Some(rest) = &args.named_rest {
            let Value::Dict(dict) = self.evaluate(rest)? else {
                return fail("argument after ** must be a mapping");
            };
            for (name, value) in &dict.pairs {
                self.name_argument(&mut all, name.str()?.into(), value.clone())?;
            }
        }
        Ok(all)
    }

    fn name_argument(&mut self, all: &mut Arguments, name: Arc<str>, value: Value) -> Outcome<()> {
        self.budget.values(2)?;
        self.budget.spend(all.named.len() / 16)?;
        if all.named.iter().any(|(known, _)| *known == name) {
            return fail(format!("keyword argument repeated: {name}"));
        }
        all.named.push((name, value));
        Ok(())
    }

    /// Calls a macro and returns the text of its body.
    fn call_macro(&mut self, at: usize, mut args: Arguments) -> Outcome<Value> {
        let (called, around) = self.macros[at];
        self.budget.enter()?;
        let line = self.line;
        let text = self.within(around, |run| {
            let [reads_caller, reads_kwargs, reads_varargs] = called.reads;
            let mut positional = args.positional.into_iter();
            for (name, default) in &called.parameters {
                let named = args.named.iter().position(|(known, _)| known == name);
                let value = match (positional.next(), named, default) {
                    (Some(_), Some(_), _) if !reads_kwargs => {
                        return fail(format!("macro '{}' got two values for '{name}'", called.name));
                    }
                    (Some(value), ..) => value,
                    (None, Some(at), _) => args.named.remove(at).1,
                    (None, None, Some(default)) => run.evaluate(default)?,
                    (None, None, None) => Value::undefined(format!("parameter '{name}' was not provided")),
                };
                run.set(name, value)?;
            }
            let explicit = called.parameters.iter().any(|(name, _)| &**name == "caller");
            if reads_caller && !explicit {
                let given = args.named.iter().position(|(name, _)| &**name == "caller");
                let caller =
                    given.map_or_else(|| Value::undefined("No caller defined"), |at| args.named.remove(at).1);
                run.set(&"caller".into(), caller)?;
            }
            if reads_kwargs {
                let named = args.named.into_iter().map(|(name, value)| (Value::text(name), value)).collect();
                let named = Value::dict(named, &mut run.budget)?;
                run.set(&"kwargs".into(), named)?;
            } else if let Some((name, _)) = args.named.first() {
                return fail(format!("macro '{}' takes no keyword argument '{name}'", called.name));
            }
            let rest: Vec<Value> = positional.collect();
            if reads_varargs {
                let rest = Value::tuple(rest, &mut run.budget)?;
                run.set(&"varargs".into(), rest)?;
            } else if !rest.is_empty() {
                let most = called.parameters.len();
                return fail(format!("macro '{}' takes not more than {most} argument(s)", called.name));
            }
            run.captured(&called.body)
        })?;
        self.line = line;
        self.budget.leave();
        Ok(self.block_text(text))
    }
}
