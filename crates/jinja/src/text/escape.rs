//! Markup: texts in which the characters of HTML are escaped.

use std::sync::Arc;

use crate::budget::{Budget, Outcome};
use crate::value::Text;

/// Returns a text as markup; markup stays as it is.
pub(crate) fn escaped(text: &Text, budget: &mut Budget) -> Outcome<Arc<str>> {
    if text.safe { Ok(text.text.clone()) } else { escape(&text.text, budget).map(Into::into) }
}

/// Escapes the special characters of HTML.
pub(crate) fn escape(text: &str, budget: &mut Budget) -> Outcome<String> {
    // The longest escape has five letters.
    budget.write(text.len().saturating_mul(5))?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Ok(out)
}
