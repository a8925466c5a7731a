//! Reads exact answers: text to a reduced fraction, with a unit if it has one. Text that isn't plainly one
//! number is no answer, so a doubtful answer can't be right by accident.
//!
//! ```text
//! answer  = "\boxed{" answer "}" | math | [sign] [currency] [sign] number ["$"] [unit] ["."]
//! math    = "$" answer "$" | "\(" answer "\)" | "\[" answer "\]"
//! number  = integer ["." digits] | "." digits | integer "/" integer | "\frac{" integer "}{" integer "}"
//! integer = digits | 1 to 3 digits and then groups of 3, each after "," or "{,}"
//! unit    = a measure of a closed list, or counted things, see unit.rs
//! ```
//! All of it has at most one sign, one currency, one full stop and one pair of math marks. A unit may follow
//! a box or math.
//!
//! A number without a unit leaves it open: `50 apples` agrees with `50`, and so do `$50` and `50 cents`. Two
//! units must be the same. Two of them are converted: `50 cents` is also `$0.50`, and `50%` agrees with
//! `0.5`. Questions about percentages are often answered with the number alone, and shares are never above 1.
//! Therefore `50%` also agrees with `50`, but `0.5%` doesn't agree with `0.5`, nor `5000%` with `50`.

mod unit;

use std::fmt;

use crate::tasks::same_question::normal;
use unit::{PERCENT, Unit};

/// Holds a fraction in lowest terms with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    /// Returns the reduced fraction. None if the denominator is 0 or a part is `i128::MIN`, whose negation
    /// would overflow.
    fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = gcd(numerator.abs(), denominator.abs()) * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// Returns one of `parts` equal parts, or none if it overflows.
    fn over(self, parts: i128) -> Option<Self> {
        Self::new(self.numerator, self.denominator.checked_mul(parts)?)
    }

    /// Returns whether it is from -1 to 1.
    fn is_share(self) -> bool {
        self.numerator.abs() <= self.denominator
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

/// Holds a number and its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    value: Rational,
    unit: Option<String>,
    /// The number as it was written in parts of the unit: 50 of `50 cents`.
    written: Option<Rational>,
}

impl Answer {
    /// Returns whether two answers state the same, as far as their units tell.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        match (self.unit.as_deref(), other.unit.as_deref()) {
            (Some(PERCENT), None) if other.value.is_share() => self.value.over(100) == Some(other.value),
            (None, Some(PERCENT)) => other.agrees(self),
            (Some(a), Some(b)) => a == b && self.value == other.value,
            _ => self.value == other.value || self.number() == other.number(),
        }
    }

    /// Returns the number as it was written.
    fn number(&self) -> Rational {
        self.written.unwrap_or(self.value)
    }

    /// Returns a text that is equal for answers of one value. The unit of `right` decides how missing units
    /// count.
    fn vote(&self, right: &Self) -> String {
        let hundredths = || self.value.over(100).unwrap_or(self.value).to_string();
        match (self.unit.as_deref(), right.unit.as_deref()) {
            (Some(PERCENT), None) if right.value.is_share() => hundredths(),
            (_, None) => self.number().to_string(),
            (Some(unit), Some(own)) if unit != own => self.to_string(),
            (None, Some(_)) if right.written.is_some() => hundredths(),
            _ => self.value.to_string(),
        }
    }
}

/// Returns a text that is equal for answers of one value. Numbers are compared by value, and other answers by
/// their words.
pub(crate) fn vote(right: &str, given: &str) -> String {
    let open = Answer { value: Rational { numerator: 0, denominator: 1 }, unit: None, written: None };
    parse(given).map_or_else(|| normal(given), |given| given.vote(&parse(right).unwrap_or(open)))
}

/// Writes the answer so that [`parse`] reads it back.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            None => write!(f, "{}", self.value),
            Some(unit) if unit.starts_with(PERCENT) => write!(f, "{}{unit}", self.value),
            Some(unit) if self.written.is_some() => {
                write!(f, "{} {}", self.number(), unit.replacen(unit::DOLLAR, "cents", 1))
            }
            Some(unit) => write!(f, "{} {unit}", self.value),
        }
    }
}

/// Returns the number that a text states, or none if it isn't plainly one number or overflows 128 bits.
pub(crate) fn parse(text: &str) -> Option<Answer> {
    let mut text = text.trim();
    let stopped = text.ends_with('.');
    text = text.strip_suffix('.').unwrap_or(text).trim_end();
    let (inner, math, behind) = unwrap(text)?;
    text = inner;
    if !stopped && behind.is_empty() {
        text = text.strip_suffix('.').unwrap_or(text).trim_end();
    }
    let (before, text) = sign(text);
    let (currency, text) = currency(text, math);
    let (after, text) = sign(text);
    if before.is_some() && after.is_some() {
        return None;
    }
    let (value, rest) = number(text)?;
    let (currency, rest) = match rest.strip_prefix('$') {
        Some(_) if math || currency.is_some() => return None,
        Some(rest) => (Some(unit::DOLLAR), rest),
        None => (currency, rest),
    };
    if !(behind.is_empty() || rest.trim().is_empty()) {
        return None;
    }
    let Unit { name, parts } = unit::read(if behind.is_empty() { rest } else { behind }, currency)?;
    let number = Rational { numerator: before.or(after).unwrap_or(1) * value.numerator, ..value };
    Some(Answer { value: number.over(parts)?, unit: name, written: (parts != 1).then_some(number) })
}

/// Pairs of math marks.
const MATH: [(&str, &str); 3] = [("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")];

/// Returns the text inside boxes and one pair of math marks, whether there is math, and the text after them.
fn unwrap(mut text: &str) -> Option<(&str, bool, &str)> {
    let (mut math, mut behind) = (false, "");
    loop {
        let boxed = text.strip_prefix("\\boxed{").map(|rest| (rest, "}"));
        let marks = || MATH.iter().find_map(|(open, close)| Some((text.strip_prefix(open)?, *close)));
        let Some((rest, close)) = boxed.or_else(|| marks().filter(|_| !math)) else {
            return Some((text, math, behind));
        };
        let Some((inner, after)) = rest.rsplit_once(close) else {
            // A dollar alone is a currency.
            return (close == "$").then_some((text, math, behind));
        };
        let is_unit = after.contains(|c: char| c.is_alphabetic() || "%¢€£".contains(c));
        match after.trim() {
            "" => {}
            _ if is_unit && behind.is_empty() => behind = after,
            _ => return None,
        }
        (text, math) = (inner.trim(), math || close != "}");
    }
}

/// Returns the text after a mark such as `Answer:`. Markdown's `**` may surround mark, answer or both.
pub(crate) fn after_mark(text: &str) -> Option<Answer> {
    let mut text = text.trim();
    while let Some(rest) = text.strip_prefix("**") {
        text = rest.trim_start();
    }
    let unstopped = text.strip_suffix('.').unwrap_or(text);
    parse(unstopped.strip_suffix("**").unwrap_or(text))
}

/// Returns an integer after a mark, without a unit and already computed: `84/2` gives none.
pub(crate) fn integer_after_mark(text: &str) -> Option<i128> {
    let Answer { value: Rational { numerator, denominator: 1 }, unit: None, .. } = after_mark(text)? else {
        return None;
    };
    (!text.contains('/') && !text.contains("frac")).then_some(numerator)
}

/// Returns the currency in front, if any, and the text after it. Inside math, a dollar has a backslash.
fn currency(text: &str, math: bool) -> (Option<&'static str>, &str) {
    let signs = [("\\$", unit::DOLLAR), ("$", unit::DOLLAR), ("€", "euro"), ("£", "sterling")];
    let found = signs.iter().find_map(|(sign, name)| {
        let rest = text.strip_prefix(sign).filter(|_| !math || *sign != "$")?;
        Some((Some(*name), rest.trim_start()))
    });
    found.unwrap_or((None, text))
}

/// Returns the sign in front, if any, and the text after it.
fn sign(text: &str) -> (Option<i128>, &str) {
    if let Some(rest) = text.strip_prefix(['-', '\u{2212}']) {
        (Some(-1), rest)
    } else if let Some(rest) = text.strip_prefix('+') {
        (Some(1), rest)
    } else {
        (None, text)
    }
}

/// Returns an unsigned number in front, and the text after it.
fn number(text: &str) -> Option<(Rational, &str)> {
    for frac in ["\\frac{", "\\dfrac{", "\\tfrac{"] {
        if let Some(body) = text.strip_prefix(frac) {
            let (above, rest) = braced(body)?;
            let (below, rest) = braced(rest.strip_prefix('{')?)?;
            return Some((Rational::new(above, below)?, rest));
        }
    }
    let (whole, rest) = if text.starts_with('.') { ("0".to_string(), text) } else { integer(text)? };
    if let Some(rest) = rest.strip_prefix('.') {
        let places = digits(rest);
        let scale = 10_i128.checked_pow(u32::try_from(places.len()).ok()?)?;
        let value = Rational::new(format!("{whole}{places}").parse().ok()?, scale)?;
        return (!places.is_empty()).then_some((value, &rest[places.len()..]));
    }
    let whole = whole.parse().ok()?;
    match rest.trim_start().strip_prefix('/') {
        Some(rest) => {
            let (below, rest) = integer(rest.trim_start())?;
            Some((Rational::new(whole, below.parse().ok()?)?, rest))
        }
        None => Some((Rational::new(whole, 1)?, rest)),
    }
}

/// Returns the integer, signed or not, up to a closing brace, and the text after the brace.
fn braced(text: &str) -> Option<(i128, &str)> {
    let (inner, rest) = text.split_once('}')?;
    let (sign, magnitude) = sign(inner.trim());
    let (digits, "") = integer(magnitude)? else { return None };
    Some((sign.unwrap_or(1) * digits.parse::<i128>().ok()?, rest))
}

fn digits(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()]
}

/// Returns the digits of an unsigned integer in front, without its separators, and the text after it.
fn integer(text: &str) -> Option<(String, &str)> {
    let first = digits(text);
    let mut all = first.to_string();
    let mut rest = &text[first.len()..];
    while let Some(more) = rest.strip_prefix("{,}").or_else(|| rest.strip_prefix(',')) {
        let group = digits(more);
        // Some write 0.123 as "0,123".
        if group.len() != 3 || first.len() > 3 || first.starts_with('0') {
            return None;
        }
        all.push_str(group);
        rest = &more[3..];
    }
    (!first.is_empty()).then_some((all, rest))
}

#[cfg(test)]
mod tests;
