//! The syntax tree of a template: statements and expressions.

use std::sync::Arc;

/// Holds an expression.
#[derive(Debug)]
pub(crate) enum Expr {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
    Name(Arc<str>),
    /// The text of the block inside a filter.
    Body,
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Box<Expr>, Arc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Args),
    Filter(Box<Expr>, Arc<str>, Args),
    Test(Box<Expr>, Arc<str>, Args),
    Not(Box<Expr>),
    Sign(Box<Expr>, bool),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    /// The condition, the value, and the value otherwise.
    Choice(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

/// Filters that read the context, so Jinja2 evaluates them where it renders.
const OF_CONTEXT: [&str; 6] = ["map", "random", "reject", "rejectattr", "select", "selectattr"];

impl Expr {
    /// Returns whether Jinja2 evaluates it before it renders: nothing of it depends on a variable or a call.
    pub(crate) fn is_constant(&self) -> bool {
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) => true,
            Self::Name(_) | Self::Body | Self::Call(..) => false,
            Self::Tuple(items) | Self::List(items) | Self::Concat(items) => {
                items.iter().all(Self::is_constant)
            }
            Self::Dict(pairs) => pairs.iter().all(|(key, value)| key.is_constant() && value.is_constant()),
            Self::Attribute(value, _) | Self::Not(value) | Self::Sign(value, _) => value.is_constant(),
            Self::Slice(value, bounds) => {
                value.is_constant() && bounds.iter().flatten().all(Self::is_constant)
            }
            Self::Filter(value, name, args) => {
                !OF_CONTEXT.contains(&&**name) && value.is_constant() && args.is_constant()
            }
            Self::Test(value, _, args) => value.is_constant() && args.is_constant(),
            Self::Item(a, b) | Self::And(a, b) | Self::Or(a, b) | Self::Binary(_, a, b) => {
                a.is_constant() && b.is_constant()
            }
            Self::Compare(first, rest) => {
                first.is_constant() && rest.iter().all(|(_, value)| value.is_constant())
            }
            Self::Choice(condition, value, otherwise) => {
                let otherwise = otherwise.as_ref().is_some_and(|otherwise| otherwise.is_constant());
                condition.is_constant() && value.is_constant() && otherwise
            }
        }
    }
}

impl Args {
    fn is_constant(&self) -> bool {
        let named = self.named.iter().map(|(_, value)| value);
        let rest = self.rest.iter().chain(&self.named_rest).map(|value| &**value);
        self.positional.iter().chain(named).chain(rest).all(Expr::is_constant)
    }
}

/// Names an operator on numbers, some of which work on texts and lists as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

/// Names a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// Holds the arguments of a call as written.
#[derive(Debug, Default)]
pub(crate) struct Args {
    pub(crate) positional: Vec<Expr>,
    pub(crate) named: Vec<(Arc<str>, Expr)>,
    /// After `*`.
    pub(crate) rest: Option<Box<Expr>>,
    /// After `**`.
    pub(crate) named_rest: Option<Box<Expr>>,
}

/// Names the target of an assignment.
#[derive(Debug)]
pub(crate) enum Target {
    Name(Arc<str>),
    /// An attribute of a namespace.
    Attribute(Arc<str>, Arc<str>),
    Tuple(Vec<Target>),
}

/// Holds a macro: its parameters with their defaults, and its body.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) name: Arc<str>,
    pub(crate) parameters: Vec<(Arc<str>, Option<Expr>)>,
    pub(crate) body: Vec<Stmt>,
    /// Whether the body reads `caller`, `kwargs` and `varargs`.
    pub(crate) reads: [bool; 3],
}

/// Holds a statement with its line.
#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// Names the kinds of statements.
#[derive(Debug)]
pub(crate) enum Kind {
    Data(Arc<str>),
    Print(Expr),
    Set(Target, Expr),
    /// Assigns a block's text, as its filters return it.
    SetBlock(Target, Vec<Stmt>, Expr),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    For(Box<For>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    Macro(Macro),
    /// `{% call(…) f(…) %}`: the body is the macro `caller` of the call.
    Call(Macro, Expr),
    Filter(Expr, Vec<Stmt>),
    Escape(Expr, Vec<Stmt>),
    /// A separate scope: `{% generation %}`, `{% block %}`.
    Scope(Vec<Stmt>),
    Break,
    Continue,
    /// A statement that reads another template, which never exists.
    Other,
}

/// Describes a loop.
#[derive(Debug)]
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) over: Expr,
    pub(crate) test: Option<Expr>,
    pub(crate) recursive: bool,
    pub(crate) body: Vec<Stmt>,
    pub(crate) otherwise: Vec<Stmt>,
}
