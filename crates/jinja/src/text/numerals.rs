//! Formats numbers: widths, precisions, exponents.

use crate::budget::{Budget, Outcome, fail};

/// Most digits of a format.
const DIGITS: usize = 1000;

/// Holds the format of a value, for `%` or `format`.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) fill: char,
    /// `<`, `>`, `^`, or `=`: between the sign and the digits.
    pub(crate) align: char,
    /// The sign of a positive number.
    pub(crate) sign: Option<char>,
    pub(crate) alternate: bool,
    pub(crate) width: usize,
    /// The separator of thousands.
    pub(crate) grouping: Option<char>,
    pub(crate) precision: Option<usize>,
    pub(crate) kind: Option<char>,
}

impl Spec {
    /// Formats a sign, a prefix and digits in the width.
    fn framed(&self, negative: bool, prefix: &str, digits: &str, budget: &mut Budget) -> Outcome<String> {
        let sign = if negative { Some('-') } else { self.sign };
        let mut out: String = sign.into_iter().collect();
        out.push_str(prefix);
        if self.align == '=' {
            let missing = self.width.saturating_sub(out.chars().count() + digits.chars().count());
            budget.write(missing.saturating_mul(self.fill.len_utf8()))?;
            out.extend(std::iter::repeat_n(self.fill, missing));
        }
        out.push_str(digits);
        self.padded(&out, budget)
    }

    /// Pads a text to the width.
    pub(crate) fn padded(&self, text: &str, budget: &mut Budget) -> Outcome<String> {
        padded(text, self.width, self.fill, self.align, budget)
    }

    pub(crate) fn integer(&self, number: i128, budget: &mut Budget) -> Outcome<String> {
        let size = number.unsigned_abs();
        let (prefix, mut digits) = match self.kind.unwrap_or('d') {
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0o", format!("{size:o}")),
            'b' => ("0b", format!("{size:b}")),
            _ => ("", size.to_string()),
        };
        if let Some(mark) = self.grouping {
            digits = grouped(&digits, mark, if prefix.is_empty() { 3 } else { 4 });
        }
        if let Some(precision) = self.precision {
            bounded(precision)?;
            digits = format!("{digits:0>precision$}");
        }
        self.framed(number < 0, if self.alternate { prefix } else { "" }, &digits, budget)
    }

    pub(crate) fn float(&self, number: f64, budget: &mut Budget) -> Outcome<String> {
        let kind = self.kind.unwrap_or('r');
        let mut digits = digits(number.abs(), kind, self.precision, self.alternate)?;
        if let Some(mark) = self.grouping {
            let whole = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits = grouped(&digits[..whole], mark, 3) + &digits[whole..];
        }
        if kind.is_ascii_uppercase() {
            digits = digits.to_uppercase();
        }
        self.framed(number.is_sign_negative() && !number.is_nan(), "", &digits, budget)
    }
}

fn bounded(precision: usize) -> Outcome<()> {
    if precision > DIGITS { fail(format!("a precision of {precision} digits is too large")) } else { Ok(()) }
}

/// Pads a text to a width.
pub(crate) fn padded(
    text: &str,
    width: usize,
    fill: char,
    align: char,
    budget: &mut Budget,
) -> Outcome<String> {
    let missing = width.saturating_sub(text.chars().count());
    budget.write(missing.saturating_mul(fill.len_utf8()).saturating_add(text.len()))?;
    let left = match align {
        '<' => 0,
        '^' => missing / 2,
        _ => missing,
    };
    let mut out = String::with_capacity(text.len() + missing);
    out.extend(std::iter::repeat_n(fill, left));
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, missing - left));
    Ok(out)
}

/// Puts a mark between groups of digits.
fn grouped(digits: &str, mark: char, size: usize) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(size) {
            out.push(mark);
        }
        out.push(digit);
    }
    out
}

/// Returns the digits of a number that isn't negative.
fn digits(number: f64, kind: char, precision: Option<usize>, alternate: bool) -> Outcome<String> {
    if !number.is_finite() {
        let percent = if kind == '%' { "%" } else { "" };
        return Ok(format!("{}{percent}", if number.is_nan() { "nan" } else { "inf" }));
    }
    let given = precision.unwrap_or(6);
    bounded(given)?;
    Ok(match kind.to_ascii_lowercase() {
        'e' => exponential(number, given),
        'f' => format!("{number:.given$}"),
        '%' => format!("{:.given$}%", number * 100.0),
        'r' if precision.is_none() => crate::text::spelling::float(number),
        'r' => {
            let text = general(number, given, alternate);
            if text.contains(['.', 'e']) { text } else { text + ".0" }
        }
        _ => general(number, given, alternate),
    })
}

fn exponential(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    let (digits, exponent) = text.split_once('e').expect("the format writes an exponent");
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Formats by `g`: with an exponent only if there would be too many zeros.
fn general(number: f64, precision: usize, alternate: bool) -> String {
    let precision = precision.max(1);
    let scientific = exponential(number, precision - 1);
    let exponent: i64 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let plain = (-4..precision as i64).contains(&exponent);
    let text =
        if plain { format!("{number:.*}", (precision as i64 - 1 - exponent) as usize) } else { scientific };
    let (digits, tail) = text.split_once('e').map_or((text.as_str(), None), |(digits, e)| (digits, Some(e)));
    let digits = if digits.contains('.') && !alternate {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    };
    tail.map_or_else(|| digits.to_string(), |tail| format!("{digits}e{tail}"))
}
