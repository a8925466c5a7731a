//! Parses tokens to statements by Jinja's grammar.

use std::sync::Arc;

use crate::budget::{Outcome, fail};
use crate::read::lexer::{Token, tokens};
use crate::read::syntax::{Expr, For, Kind, Macro, Stmt, Target};

/// Deepest nesting of tags and brackets.
const DEPTH: usize = 150;

/// Most operators, filters and subscripts in one tag: each makes its expression one level deeper.
const LINKS: usize = 2000;

pub(crate) struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    links: usize,
    /// Whether the current macro reads `caller`, `kwargs` and `varargs`.
    pub(crate) reads: [bool; 3],
}

/// Parses a template. An error comes with its line.
pub(crate) fn parse(source: &str) -> Result<Vec<Stmt>, (String, usize)> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0, links: 0, reads: [false; 3] };
    let body = parser.body(&[]);
    body.map_err(|failure| (failure.message, parser.line()))
}

impl Parser {
    pub(crate) fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    pub(crate) fn look(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    pub(crate) fn line(&self) -> usize {
        self.tokens[self.at].1
    }

    pub(crate) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        // The end token isn't passed.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(crate) fn is(&self, operator: &str) -> bool {
        matches!(self.peek(), Token::Op(found) if *found == operator)
    }

    pub(crate) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    pub(crate) fn skip(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn expect(&mut self, operator: &str) -> Outcome<()> {
        if self.skip(operator) { Ok(()) } else { self.unexpected(&format!("'{operator}'")) }
    }

    pub(crate) fn name(&mut self) -> Outcome<Arc<str>> {
        match self.peek() {
            Token::Name(name) => {
                let name = name.as_str().into();
                self.next();
                Ok(name)
            }
            _ => self.unexpected("a name"),
        }
    }

    pub(crate) fn unexpected<T>(&self, wanted: &str) -> Outcome<T> {
        let found = match self.peek() {
            Token::Data(_) | Token::PrintBegin | Token::BlockBegin => "text".into(),
            Token::PrintEnd | Token::BlockEnd => "the end of the tag".into(),
            Token::Name(name) => format!("{name:?}"),
            Token::Text(text) => format!("{text:?}"),
            Token::Int(number) => number.to_string(),
            Token::Float(number) => number.to_string(),
            Token::Op(operator) => format!("'{operator}'"),
            Token::End => "the end of the template".into(),
        };
        fail(format!("syntax error: expected {wanted}, found {found}"))
    }

    /// Counts one more operator, filter or subscript of the tag.
    pub(crate) fn link(&mut self) -> Outcome<()> {
        self.links += 1;
        if self.links > LINKS { fail("an expression is too long") } else { Ok(()) }
    }

    /// Parses one level deeper.
    pub(crate) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.depth += 1;
        if self.depth > DEPTH {
            return fail("tags or brackets lie too deep in each other");
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Parses statements up to a tag of one of these names, which stays next.
    fn body(&mut self, ends: &[&str]) -> Outcome<Vec<Stmt>> {
        let mut body = Vec::new();
        loop {
            let line = self.line();
            self.links = 0;
            let kind = match self.next() {
                Token::Data(text) => Kind::Data(text.into()),
                Token::PrintBegin => {
                    let printed = self.tuple(true, &[])?;
                    if *self.peek() != Token::PrintEnd {
                        return self.unexpected("the end of the tag");
                    }
                    self.next();
                    Kind::Print(printed)
                }
                Token::BlockBegin => {
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(body);
                    }
                    let kind = self.deeper(Self::statement)?;
                    self.end_of_tag()?;
                    kind
                }
                Token::End if ends.is_empty() => return Ok(body),
                Token::End => {
                    return fail(format!(
                        "syntax error: the template ends, but {} is missing",
                        ends.join(" or ")
                    ));
                }
                _ => return self.unexpected("text or a tag"),
            };
            body.push(Stmt { line, kind });
        }
    }

    fn end_of_tag(&mut self) -> Outcome<()> {
        if *self.peek() != Token::BlockEnd {
            return self.unexpected("the end of the tag");
        }
        self.next();
        Ok(())
    }

    /// Parses the statements between the end of this tag and one of these tags.
    fn block(&mut self, ends: &[&str]) -> Outcome<Vec<Stmt>> {
        self.skip(":");
        self.end_of_tag()?;
        self.body(ends)
    }

    /// Parses a block with the name of the tag that ends it.
    fn whole_block(&mut self, end: &str) -> Outcome<Vec<Stmt>> {
        let body = self.block(&[end])?;
        self.next();
        Ok(body)
    }

    fn statement(&mut self) -> Outcome<Kind> {
        let name = self.name()?;
        Ok(match &*name {
            "set" => return self.set(),
            "if" => return self.condition(),
            "for" => return self.a_loop(),
            "with" => {
                let mut values = Vec::new();
                while *self.peek() != Token::BlockEnd && !self.is(":") {
                    if !values.is_empty() {
                        self.expect(",")?;
                    }
                    let target = self.target(false, &[])?;
                    self.expect("=")?;
                    values.push((target, self.expression()?));
                }
                Kind::With(values, self.whole_block("endwith")?)
            }
            "macro" => {
                let name = self.name()?;
                Kind::Macro(self.a_macro(name, "endmacro")?)
            }
            "call" => return self.call_block(),
            "filter" => {
                let filters = self.filters_of_body()?;
                Kind::Filter(filters, self.whole_block("endfilter")?)
            }
            "autoescape" => {
                let on = self.expression()?;
                Kind::Escape(on, self.whole_block("endautoescape")?)
            }
            "generation" => Kind::Scope(self.whole_block("endgeneration")?),
            "block" => {
                let name = self.name()?;
                self.skip_name("scoped");
                self.skip_name("required");
                let body = self.whole_block("endblock")?;
                self.skip_name(&name);
                Kind::Scope(body)
            }
            "print" => Kind::Print(self.tuple(true, &[])?),
            "break" => Kind::Break,
            "continue" => Kind::Continue,
            "extends" | "include" | "import" | "from" => {
                while !matches!(self.peek(), Token::BlockEnd | Token::End) {
                    self.next();
                }
                Kind::Other
            }
            other => return fail(format!("syntax error: unknown tag {other:?}")),
        })
    }

    fn set(&mut self) -> Outcome<Kind> {
        let target = self.target(true, &[])?;
        if self.skip("=") {
            return Ok(Kind::Set(target, self.tuple(true, &[])?));
        }
        let filters = if self.is("|") { self.filters(Expr::Body)? } else { Expr::Body };
        Ok(Kind::SetBlock(target, self.whole_block("endset")?, filters))
    }

    fn condition(&mut self) -> Outcome<Kind> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, &[])?;
            branches.push((test, self.block(&["elif", "else", "endif"])?));
            self.links = 0;
            match self.next() {
                Token::Name(name) if name == "elif" => {}
                Token::Name(name) if name == "else" => {
                    return Ok(Kind::If(branches, self.whole_block("endif")?));
                }
                _ => return Ok(Kind::If(branches, Vec::new())),
            }
        }
    }

    fn a_loop(&mut self) -> Outcome<Kind> {
        let target = self.target(false, &["in"])?;
        if !self.skip_name("in") {
            return self.unexpected("\"in\"");
        }
        let over = self.tuple(false, &["recursive"])?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let body = self.block(&["endfor", "else"])?;
        let has_else = self.is_name("else");
        self.next();
        let otherwise = if has_else { self.whole_block("endfor")? } else { Vec::new() };
        Ok(Kind::For(Box::new(For { target, over, test, recursive, body, otherwise })))
    }

    fn call_block(&mut self) -> Outcome<Kind> {
        let before = self.reads;
        let parameters = if self.is("(") { self.parameters()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call, Expr::Call(..)) {
            return fail("syntax error: a call block needs a call");
        }
        let inner = self.macro_body("caller".into(), parameters, "endcall", before)?;
        Ok(Kind::Call(inner, call))
    }

    fn a_macro(&mut self, name: Arc<str>, end: &str) -> Outcome<Macro> {
        let before = self.reads;
        let parameters = self.parameters()?;
        self.macro_body(name, parameters, end, before)
    }

    fn macro_body(
        &mut self,
        name: Arc<str>,
        parameters: Vec<(Arc<str>, Option<Expr>)>,
        end: &str,
        before: [bool; 3],
    ) -> Outcome<Macro> {
        self.reads = [false; 3];
        let body = self.whole_block(end)?;
        let reads = self.reads;
        self.reads = [0, 1, 2].map(|at| before[at] || reads[at]);
        Ok(Macro { name, parameters, body, reads })
    }

    fn parameters(&mut self) -> Outcome<Vec<(Arc<str>, Option<Expr>)>> {
        let mut all: Vec<(Arc<str>, Option<Expr>)> = Vec::new();
        self.expect("(")?;
        while !self.is(")") {
            if !all.is_empty() {
                self.expect(",")?;
            }
            let name = self.name()?;
            let default = if self.skip("=") { Some(self.expression()?) } else { None };
            if default.is_none() && all.last().is_some_and(|(_, before)| before.is_some()) {
                return fail("syntax error: a parameter without a default follows one with a default");
            }
            all.push((name, default));
        }
        self.expect(")")?;
        Ok(all)
    }

    /// Parses the target of an assignment: a name, an attribute of a namespace, or several of them.
    fn target(&mut self, attributes: bool, ends: &[&str]) -> Outcome<Target> {
        let mut all = Vec::new();
        loop {
            let closed = self.is(")") || ends.iter().any(|end| self.is_name(end)) || self.is("=");
            if !all.is_empty() && closed {
                return Ok(Target::Tuple(all));
            }
            let one = self.one_target(attributes)?;
            if !self.skip(",") {
                if all.is_empty() {
                    return Ok(one);
                }
                all.push(one);
                return Ok(Target::Tuple(all));
            }
            all.push(one);
        }
    }

    fn one_target(&mut self, attributes: bool) -> Outcome<Target> {
        if self.skip("(") {
            let inner = self.deeper(|parser| parser.target(attributes, &[]))?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        if matches!(&*name, "true" | "false" | "none" | "True" | "False" | "None") {
            return fail(format!("syntax error: nothing can be assigned to {name}"));
        }
        if attributes && self.skip(".") {
            return Ok(Target::Attribute(name, self.name()?));
        }
        Ok(Target::Name(name))
    }
}
