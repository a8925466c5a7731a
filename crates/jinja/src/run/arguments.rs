//! The arguments of a call, and their binding to parameters.

use std::sync::Arc;

use crate::budget::{Outcome, fail};
use crate::value::Value;

/// Holds the arguments of a call.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) positional: Vec<Value>,
    pub(crate) named: Vec<(Arc<str>, Value)>,
}

impl Arguments {
    /// Returns the parameters of these names, as far as they are given.
    pub(crate) fn bind<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
    ) -> Outcome<[Option<Value>; N]> {
        let given = self.positional.len();
        if given > N {
            return fail(format!("{function}() takes at most {N} arguments, but {given} were given"));
        }
        let mut bound = [const { None }; N];
        for (place, value) in bound.iter_mut().zip(self.positional) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            match names.iter().position(|known| *known == &*name) {
                Some(at) if bound[at].is_none() => bound[at] = Some(value),
                Some(_) => return fail(format!("{function}() got multiple values for argument '{name}'")),
                None => return fail(format!("{function}() got an unexpected keyword argument '{name}'")),
            }
        }
        Ok(bound)
    }
}

/// Returns a required parameter.
pub(crate) fn required(value: Option<Value>, function: &str, name: &str) -> Outcome<Value> {
    value.map_or_else(|| fail(format!("{function}() misses its argument '{name}'")), Ok)
}
