//! Parses tokens to expressions by Jinja's grammar, loosest operators first.

use std::sync::Arc;

use crate::budget::{Outcome, fail};
use crate::read::lexer::Token;
use crate::read::parser::Parser;
use crate::read::syntax::{Args, Comparison, Expr, Operator};

const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Eq),
    ("!=", Comparison::Ne),
    ("<", Comparison::Lt),
    ("<=", Comparison::Le),
    (">", Comparison::Gt),
    (">=", Comparison::Ge),
];

impl Parser {
    /// Parses an expression, or several with commas between them, which are a tuple.
    pub(crate) fn tuple(&mut self, choices: bool, ends: &[&str]) -> Outcome<Expr> {
        let mut all = Vec::new();
        loop {
            let ended = matches!(self.peek(), Token::PrintEnd | Token::BlockEnd) || self.is(")");
            if !all.is_empty() && (ended || ends.iter().any(|end| self.is_name(end))) {
                return Ok(Expr::Tuple(all));
            }
            let one = if choices { self.expression()? } else { self.deeper(Self::or)? };
            if !self.skip(",") {
                if all.is_empty() {
                    return Ok(one);
                }
                all.push(one);
                return Ok(Expr::Tuple(all));
            }
            all.push(one);
        }
    }

    pub(crate) fn expression(&mut self) -> Outcome<Expr> {
        self.deeper(|parser| {
            let mut value = parser.or()?;
            while parser.skip_name("if") {
                parser.link()?;
                let condition = parser.or()?;
                let otherwise = parser.skip_name("else").then(|| parser.expression()).transpose()?;
                value = Expr::Choice(Box::new(condition), Box::new(value), otherwise.map(Box::new));
            }
            Ok(value)
        })
    }

    fn or(&mut self) -> Outcome<Expr> {
        let mut left = self.and()?;
        while self.skip_name("or") {
            self.link()?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Outcome<Expr> {
        let mut left = self.not()?;
        while self.skip_name("and") {
            self.link()?;
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Outcome<Expr> {
        if self.skip_name("not") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Outcome<Expr> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let symbol = COMPARISONS.iter().find(|(symbol, _)| self.is(symbol));
            let comparison = if let Some((_, comparison)) = symbol {
                self.next();
                *comparison
            } else if self.skip_name("in") {
                Comparison::In
            } else if self.is_name("not") && matches!(self.look(), Token::Name(name) if name == "in") {
                self.next();
                self.next();
                Comparison::NotIn
            } else {
                break;
            };
            self.link()?;
            rest.push((comparison, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Compare(Box::new(first), rest) })
    }

    fn sum(&mut self) -> Outcome<Expr> {
        self.chain(&[("+", Operator::Add), ("-", Operator::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Outcome<Expr> {
        let mut all = vec![self.product()?];
        while self.skip("~") {
            self.link()?;
            all.push(self.product()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expr::Concat(all) })
    }

    fn product(&mut self) -> Outcome<Expr> {
        let operators =
            [("*", Operator::Mul), ("/", Operator::Div), ("//", Operator::FloorDiv), ("%", Operator::Mod)];
        self.chain(&operators, Self::power)
    }

    fn power(&mut self) -> Outcome<Expr> {
        self.chain(&[("**", Operator::Pow)], |parser| parser.unary(true))
    }

    fn chain(
        &mut self,
        operators: &[(&str, Operator)],
        operand: impl Fn(&mut Self) -> Outcome<Expr>,
    ) -> Outcome<Expr> {
        let mut left = operand(self)?;
        while let Some((_, operator)) = operators.iter().find(|(symbol, _)| self.is(symbol)) {
            self.next();
            self.link()?;
            left = Expr::Binary(*operator, Box::new(left), Box::new(operand(self)?));
        }
        Ok(left)
    }

    fn unary(&mut self, filters: bool) -> Outcome<Expr> {
        let value = if self.is("-") || self.is("+") {
            let negative = self.is("-");
            self.next();
            Expr::Sign(Box::new(self.deeper(|parser| parser.unary(false))?), negative)
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if filters { self.filters_and_tests(value) } else { Ok(value) }
    }

    fn primary(&mut self) -> Outcome<Expr> {
        Ok(match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                match name.as_str() {
                    "true" | "True" => Expr::Bool(true),
                    "false" | "False" => Expr::Bool(false),
                    "none" | "None" => Expr::None,
                    name => {
                        let special = ["caller", "kwargs", "varargs"].iter().position(|known| *known == name);
                        if let Some(at) = special {
                            self.reads[at] = true;
                        }
                        Expr::Name(name.into())
                    }
                }
            }
            Token::Text(mut text) => {
                self.next();
                while let Token::Text(more) = self.peek() {
                    text.push_str(more);
                    self.next();
                }
                Expr::Text(text.into())
            }
            Token::Int(number) => {
                self.next();
                Expr::Int(number)
            }
            Token::Float(number) => {
                self.next();
                Expr::Float(number)
            }
            Token::Op("(") => {
                self.next();
                let inner = if self.is(")") { Expr::Tuple(Vec::new()) } else { self.tuple(true, &[])? };
                self.expect(")")?;
                inner
            }
            Token::Op("[") => {
                self.next();
                Expr::List(self.items("]", Self::expression)?)
            }
            Token::Op("{") => {
                self.next();
                Expr::Dict(self.items("}", |parser| {
                    let key = parser.expression()?;
                    parser.expect(":")?;
                    Ok((key, parser.expression()?))
                })?)
            }
            _ => return self.unexpected("an expression"),
        })
    }

    /// Parses items up to a bracket, with commas between them and perhaps after the last.
    fn items<T>(&mut self, close: &str, item: impl Fn(&mut Self) -> Outcome<T>) -> Outcome<Vec<T>> {
        let mut all = Vec::new();
        while !self.is(close) {
            if !all.is_empty() {
                self.expect(",")?;
                if self.is(close) {
                    break;
                }
            }
            all.push(item(self)?);
        }
        self.expect(close)?;
        Ok(all)
    }

    fn postfix(&mut self, mut value: Expr) -> Outcome<Expr> {
        loop {
            value = if self.skip(".") {
                match self.next() {
                    Token::Name(name) => Expr::Attribute(Box::new(value), name.into()),
                    Token::Int(number) => Expr::Item(Box::new(value), Box::new(Expr::Int(number))),
                    _ => return fail("syntax error: expected a name or a number behind a dot"),
                }
            } else if self.skip("[") {
                self.subscript(value)?
            } else if self.is("(") {
                Expr::Call(Box::new(value), self.arguments()?)
            } else {
                return Ok(value);
            };
            self.link()?;
        }
    }

    fn subscript(&mut self, value: Expr) -> Outcome<Expr> {
        let mut parts: [Option<Expr>; 3] = [None, None, None];
        let mut colons = 0;
        while !self.is("]") && !self.is(",") {
            if self.is(":") && colons < 2 {
                self.next();
                colons += 1;
            } else {
                parts[colons] = Some(self.expression()?);
                if !self.is(":") {
                    break;
                }
            }
        }
        let value = Box::new(value);
        let subscript = match (colons, parts) {
            (0, [Some(index), _, _]) if self.skip(",") => {
                let mut all = vec![index];
                all.extend(self.items("]", Self::expression)?);
                return Ok(Expr::Item(value, Box::new(Expr::Tuple(all))));
            }
            (0, [Some(index), _, _]) => Expr::Item(value, Box::new(index)),
            (0, _) => return self.unexpected("an expression"),
            (_, parts) => Expr::Slice(value, Box::new(parts)),
        };
        self.expect("]")?;
        Ok(subscript)
    }

    pub(crate) fn arguments(&mut self) -> Outcome<Args> {
        let mut args = Args::default();
        self.expect("(")?;
        let mut first = true;
        while !self.is(")") {
            if !first {
                self.expect(",")?;
                if self.is(")") {
                    break;
                }
            }
            first = false;
            let named = matches!(self.look(), Token::Op("="));
            let wrong = if self.skip("*") {
                let wrong = args.rest.is_some() || args.named_rest.is_some();
                args.rest = Some(Box::new(self.expression()?));
                wrong
            } else if self.skip("**") {
                let wrong = args.named_rest.is_some();
                args.named_rest = Some(Box::new(self.expression()?));
                wrong
            } else if named && matches!(self.peek(), Token::Name(_)) {
                let name = self.name()?;
                self.next();
                args.named.push((name, self.expression()?));
                args.named_rest.is_some()
            } else {
                args.positional.push(self.expression()?);
                !args.named.is_empty() || args.rest.is_some() || args.named_rest.is_some()
            };
            if wrong {
                return fail("syntax error: arguments are out of order");
            }
        }
        self.expect(")")?;
        Ok(args)
    }

    fn filters_and_tests(&mut self, mut value: Expr) -> Outcome<Expr> {
        loop {
            value = if self.is("|") {
                self.filters(value)?
            } else if self.skip_name("is") {
                self.test(value)?
            } else if self.is("(") {
                Expr::Call(Box::new(value), self.arguments()?)
            } else {
                return Ok(value);
            };
            self.link()?;
        }
    }

    /// Parses the filters after a value, each with its bar.
    pub(crate) fn filters(&mut self, mut value: Expr) -> Outcome<Expr> {
        while self.skip("|") {
            value = self.filter(value)?;
        }
        Ok(value)
    }

    /// Parses the filters of `{% filter … %}`: the first has no bar.
    pub(crate) fn filters_of_body(&mut self) -> Outcome<Expr> {
        let first = self.filter(Expr::Body)?;
        self.filters(first)
    }

    fn filter(&mut self, value: Expr) -> Outcome<Expr> {
        self.link()?;
        let name = self.dotted()?;
        let args = if self.is("(") { self.arguments()? } else { Args::default() };
        Ok(Expr::Filter(Box::new(value), name, args))
    }

    fn dotted(&mut self) -> Outcome<Arc<str>> {
        let mut name = self.name()?.to_string();
        while self.skip(".") {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name.into())
    }

    fn test(&mut self, value: Expr) -> Outcome<Expr> {
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let bare = match self.peek() {
            Token::Name(name) if name == "is" => return fail("syntax error: tests can't be chained"),
            Token::Name(name) => !matches!(name.as_str(), "else" | "or" | "and"),
            Token::Text(_) | Token::Int(_) | Token::Float(_) => true,
            Token::Op(operator) => matches!(*operator, "[" | "{"),
            _ => false,
        };
        let mut args = Args::default();
        if self.is("(") {
            args = self.arguments()?;
        } else if bare {
            let argument = self.deeper(Self::primary)?;
            args.positional.push(self.postfix(argument)?);
        }
        let test = Expr::Test(Box::new(value), name, args);
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }
}
