//! Python's arithmetic on numbers, to the text that it prints.

/// Holds a number as Python has it: whole, or of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Float(f64),
}

/// Largest whole number that 64 bits hold exactly: beyond it, Python divides otherwise than by them.
const EXACT: i64 = 1 << 53;
/// Brackets inside one another at most.
const DEPTH: usize = 32;

impl Number {
    /// Computes an expression of numbers, brackets and `+ - * / //`; none if it is another one, or if its
    /// value isn't exact here.
    pub(crate) fn of(expression: &str) -> Option<Self> {
        let mut rest = Rest { text: expression.as_bytes(), depth: 0 };
        let value = rest.sum()?;
        rest.next().is_none().then_some(value)
    }

    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Float(float) => float,
        }
    }

    /// Returns what `print` writes; none where Python writes an exponent.
    pub(crate) fn printed(self) -> Option<String> {
        match self {
            Self::Whole(whole) => Some(whole.to_string()),
            Self::Float(0.0) => Some(if self.value().is_sign_negative() { "-0.0" } else { "0.0" }.into()),
            Self::Float(float) => (1e-4..1e16).contains(&float.abs()).then(|| format!("{float:?}")),
        }
    }

    fn whole(value: Option<i64>) -> Option<Self> {
        value.filter(|value| value.abs() <= EXACT).map(Self::Whole)
    }

    fn float(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self::Float(value))
    }

    fn apply(self, sign: &[u8], other: Self) -> Option<Self> {
        let divides = sign.starts_with(b"/");
        if divides && other.value() == 0.0 {
            return None;
        }
        let (a, b) = (self.value(), other.value());
        match (self, sign, other) {
            (Self::Whole(a), b"+", Self::Whole(b)) => Self::whole(a.checked_add(b)),
            (Self::Whole(a), b"-", Self::Whole(b)) => Self::whole(a.checked_sub(b)),
            (Self::Whole(a), b"*", Self::Whole(b)) => Self::whole(a.checked_mul(b)),
            (Self::Whole(a), b"//", Self::Whole(b)) => {
                // Rust rounds to zero, Python down.
                let down = a.rem_euclid(b) != 0 && b < 0;
                Self::whole(Some(a.div_euclid(b) - i64::from(down)))
            }
            (_, b"+", _) => Self::float(a + b),
            (_, b"-", _) => Self::float(a - b),
            (_, b"*", _) => Self::float(a * b),
            (_, b"/", _) => Self::float(a / b),
            _ => None,
        }
    }
}

/// The rest of an expression.
struct Rest<'a> {
    text: &'a [u8],
    depth: usize,
}

impl Rest<'_> {
    /// Returns the next byte that isn't a space.
    fn next(&mut self) -> Option<u8> {
        self.text = self.text.trim_ascii_start();
        self.text.first().copied()
    }

    /// Takes the first of these signs that is next.
    fn sign(&mut self, signs: &[&'static [u8]]) -> Option<&'static [u8]> {
        self.next()?;
        let sign = signs.iter().copied().find(|sign| self.text.starts_with(sign))?;
        self.text = &self.text[sign.len()..];
        Some(sign)
    }

    fn sum(&mut self) -> Option<Number> {
        let mut value = self.product()?;
        while let Some(sign) = self.sign(&[b"+", b"-"]) {
            value = value.apply(sign, self.product()?)?;
        }
        Some(value)
    }

    fn product(&mut self) -> Option<Number> {
        let mut value = self.signed()?;
        while let Some(sign) = self.sign(&[b"**", b"*", b"//", b"/"]) {
            value = value.apply(sign, self.signed()?)?;
        }
        Some(value)
    }

    fn signed(&mut self) -> Option<Number> {
        let mut negative = false;
        while let Some(sign) = self.sign(&[b"+", b"-"]) {
            negative ^= sign == b"-";
        }
        let value = self.number()?;
        Some(match value {
            Number::Whole(whole) if negative => Number::Whole(-whole),
            Number::Float(float) if negative => Number::Float(-float),
            _ => value,
        })
    }

    fn number(&mut self) -> Option<Number> {
        if self.sign(&[b"("]).is_some() {
            self.depth += 1;
            let value = if self.depth > DEPTH { None } else { self.sum() }?;
            self.depth -= 1;
            return self.sign(&[b")"]).map(|_| value);
        }
        let digits = self.text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let (number, rest) = self.text.split_at(digits);
        let number = std::str::from_utf8(number).ok()?;
        self.text = rest;
        if number.contains('.') {
            return Number::float(number.parse().ok()?);
        }
        // Python refuses a zero before other digits.
        let padded = number.starts_with('0') && !number.trim_matches('0').is_empty();
        if padded { None } else { Number::whole(number.parse().ok()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_print_as_in_python() {
        for (expression, expect) in [
            ("48/2", Some("24.0")),
            ("48+24", Some("72")),
            ("2*(3+4)-1", Some("13")),
            (".5*3", Some("1.5")),
            ("5.*2", Some("10.0")),
            ("0.1+0.2", Some("0.30000000000000004")),
            ("1/3", Some("0.3333333333333333")),
            ("7//2", Some("3")),
            ("-7//2", Some("-4")),
            ("7//-2", Some("-4")),
            ("-7//-2", Some("3")),
            ("-(3)--4", Some("1")),
            (" 1 + 2 ", Some("3")),
            ("+8", Some("8")),
            ("0*-1.0", Some("-0.0")),
            ("1/10000", Some("0.0001")),
            ("1/100000", None),
            ("1e5", None),
            ("2**3", None),
            ("7.5//2", None),
            ("1/0", None),
            ("05+1", None),
            ("1+", None),
            ("(1", None),
            ("1)", None),
            ("1 2", None),
            ("1.2.3", None),
            (".", None),
            ("", None),
            ("9007199254740993", None),
            ("9007199254740992*2", None),
            ("x", None),
        ] {
            let printed = Number::of(expression).and_then(Number::printed);
            assert_eq!(printed.as_deref(), expect, "{expression}");
        }
        assert_eq!(Number::of(&"(".repeat(100_000)), None);
    }
}
