//! Exact answers: text to a reduced fraction. What isn't plainly one number is no answer, so that a doubtful answer
//! can't be right by accident.
//!
//! ```text
//! answer  = "\boxed{" answer "}" | [sign] [currency] [sign] number ["$"] [unit] ["."]      (one sign at most)
//! number  = integer ["." digits] | "." digits | integer "/" integer | "\frac{" integer "}{" integer "}"
//! integer = digits | 1 to 3 digits and then groups of 3, each after a comma
//! unit    = "%" | up to three words
//! ```
//!
//! Units are not compared and nothing is converted: `50%`, `50 percent` and `$50` are all the number 50. A word that
//! changes the number (`5 thousand`, `2 and a half`, `10 squared`) is no unit, and neither is a single letter.

use std::fmt;

/// A fraction in lowest terms with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    /// In lowest terms; none if the denominator is 0 or a part is `i128::MIN`, whose negation would overflow.
    fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = gcd(numerator.abs(), denominator.abs()) * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
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

/// The number that a text states, or none if it states anything else or overflows 128 bits.
pub(crate) fn parse(text: &str) -> Option<Rational> {
    let mut text = text.trim();
    while let Some(boxed) = text.strip_prefix("\\boxed{") {
        text = boxed.strip_suffix('}')?.trim();
    }
    let text = text.strip_suffix('.').unwrap_or(text).trim_end();
    let (before, text) = sign(text);
    let text = match text.strip_prefix("\\$").or_else(|| text.strip_prefix(['$', '€', '£'])) {
        Some(amount) => amount.trim_start(),
        None => text,
    };
    let (after, text) = sign(text);
    if before.is_some() && after.is_some() {
        return None;
    }
    let (value, rest) = number(text)?;
    if !is_unit(rest.strip_prefix('$').unwrap_or(rest)) {
        return None;
    }
    let sign = before.or(after).unwrap_or(1);
    Some(Rational { numerator: sign * value.numerator, ..value })
}

/// The sign in front, if there is one, and what follows it.
fn sign(text: &str) -> (Option<i128>, &str) {
    if let Some(rest) = text.strip_prefix(['-', '\u{2212}']) {
        (Some(-1), rest)
    } else if let Some(rest) = text.strip_prefix('+') {
        (Some(1), rest)
    } else {
        (None, text)
    }
}

/// An unsigned number in front, and what follows it.
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

/// The integer, signed or not, up to a closing brace, and what follows the brace.
fn braced(text: &str) -> Option<(i128, &str)> {
    let (inner, rest) = text.split_once('}')?;
    let (sign, magnitude) = sign(inner.trim());
    let (digits, "") = integer(magnitude)? else { return None };
    Some((sign.unwrap_or(1) * digits.parse::<i128>().ok()?, rest))
}

fn digits(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()]
}

/// The digits of an unsigned integer in front, without its separators, and what follows it.
fn integer(text: &str) -> Option<(String, &str)> {
    let first = digits(text);
    let mut all = first.to_string();
    let mut rest = &text[first.len()..];
    while let Some(more) = rest.strip_prefix(',') {
        let group = digits(more);
        // "0,123" is how some write 0.123.
        if group.len() != 3 || first.len() > 3 || first.starts_with('0') {
            return None;
        }
        all.push_str(group);
        rest = &more[3..];
    }
    (!first.is_empty()).then_some((all, rest))
}

/// Words that change the number they follow, or leave it open.
const NO_UNIT: &str = "\
    hundred hundreds thousand thousands million millions mil mn billion billions bn trillion trillions tn lakh \
    crore dozen dozens score half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths \
    seventh sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths thousandth thousandths \
    st nd rd th zero one two three four five six seven eight nine ten eleven twelve \
    and or to of if but not no nor is was isn wasn point over by times plus minus mod squared cubed factorial \
    choose power root pi more less least most off only maybe about approximately roughly remainder negative \
    ish something wrong true false nan inf";

/// Whether the text after a number leaves the number as it is.
fn is_unit(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    if text == "%" || text == "\\%" {
        return true;
    }
    let one_line = !text.contains(['\n', '\r']);
    one_line && text.split_whitespace().count() <= 3 && text.split_whitespace().all(is_unit_word)
}

fn is_unit_word(word: &str) -> bool {
    // One letter may be a scale (5k, 5M), a variable (5x) or the imaginary unit.
    word.len() >= 2
        && word.chars().all(|c| c.is_ascii_alphabetic())
        && !NO_UNIT.split(' ').any(|no| no.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every one of the texts, parted by `;`, states the number.
    fn check(texts: &str, numerator: i128, denominator: i128) {
        for text in texts.split(';') {
            assert_eq!(parse(text), Some(Rational { numerator, denominator }), "{text:?}");
        }
    }

    #[test]
    fn texts_that_state_one_number_are_read_exactly() {
        check("42; +42 ;042;42.;42.0;42.000.;84/2;42 / 1;\n42\n", 42, 1);
        check("-42;\u{2212}42;-42.0;-$42;$-42;-84/2;\\frac{-84}{2};-\\frac{84}{2};\\frac{84}{-2}", -42, 1);
        check("0;-0;+0.00;0/5;$0;\\frac{0}{-7}", 0, 1);
        check("1/2;0.5;.5;+.50;2/4;\\frac{1}{2};\\dfrac{2}{4};\\tfrac{-1}{-2};$\\frac{1}{2}$", 1, 2);
        check("-.25;-1/4;-0.250 cups", -1, 4);
        check("0.1", 1, 10);
        check("0.3333", 3333, 10_000);
        check("1,234;1234;1,234.0;1,234.00.;$1,234;\\$1,234.00;$ 1234;€1,234;£1234;1234$;$1,234$", 1234, 1);
        check("-12,345,678;-12345678;-$12,345,678 dollars", -12_345_678, 1);
        check("2,469/2;1,234.5;\\frac{2,469}{ 2 }", 2469, 2);
        check("50%;50 %;50\\%;50%.;50 percent;50;$50", 50, 1);
        check("12 apples;12 apples.;12cm;12 miles per hour;12 square feet;$12 Dollars;24/2 cups", 12, 1);
        check(
            "\\boxed{7};\\boxed{ \\boxed{7.0} };\\boxed{\\$7};\\boxed{\\frac{14}{2}};\\boxed{7 apples.}",
            7,
            1,
        );
        check("170141183460469231731687303715884105727", i128::MAX, 1);
        check("-170141183460469231731687303715884105727", -i128::MAX, 1);
    }

    /// None of the texts, parted by `;`, may pass for the answer.
    fn near_misses(answer: &str, texts: &str) -> usize {
        let right = parse(answer).unwrap();
        for text in texts.split(';') {
            assert_ne!(parse(text), Some(right), "{text:?} for {answer}");
        }
        texts.split(';').count()
    }

    /// A right answer, and texts that are nearly it.
    const NEAR_MISSES: [(&str, &str); 23] = [
        ("42", "42 or 43;42-43;42\u{2013}43;42, 43;42 43;42 42;4 2;4,2;042,;42,;,42;42..;42.0.0"),
        ("42", "--42;+-42;-+42;- 42;+ 42;42-;42+;-$-42;42!;42?;~42;\u{2248}42;=42;x = 42;<42;(42)"),
        ("42", "42k;42 K;42M;42x;42i;42e0;42e;42E2;42_0;4_2;0x2A;0b101010;42f32;42\u{b0};42\u{3c0}"),
        ("42", "42 thousand;42 Million;42 dozen;42 and a half;42 squared;42 hundredths;42nd;42 of 80"),
        ("42", "42 is wrong;42 or so;42 if even;42 minus two;42 over three;42 times;42 point five"),
        ("42", "not 42;about 42;forty-two;the answer is 42;42 apples and pears;42 left for her now"),
        ("42", "42/;/42;42/0;84/2/1;84//2;126/3/1;42/1.0;42:1;42.0/1;84/-2;-84/-2;\\frac{42}{1"),
        ("42", "\\frac42;\\frac{84}{2}{1};\\frac{84.0}{2};\\frac{42}{0};1\\frac{41}{1};42^1;6*7;40+2"),
        ("42", "\\boxed{42;\\boxed{42}};{42};\\boxed{};\\boxed{42}+\\boxed{1};\\boxed{43};$$42$$;42$$"),
        ("42", "\u{664}\u{662};\u{ff14}\u{ff12};4\u{200b}2;42\nor 43;42\napples;42\0;;-;.;$;%;nan;inf"),
        ("42", "41;43;-42;420;4.2;24;42.000000000000000000001;41.999999999999999999999;1/42"),
        ("1234", "1,23;12,34;1,2345;1,234,;,1,234;1,,234;1234,000;1 234;1'234;1.234;1,234,0;0,001,234"),
        ("1234.5", "1,234,5;1.234,5;1,234.5.0;1234,5;1,234.5,0;1,234. 5;1,234 .5"),
        ("1/3", "0.333333333333333333;.33;33%;33.33%;1/3.0;1 / 3 / 1;3/1;1-3;-1/3;\\frac{3}{1};0,333"),
        ("3/4", "0.74;0.7500001;75%;3 3/4;4/3;34;3/4/2020;3\\4;3|4;3 4"),
        ("7/4", "1 3/4;1-3/4;1 and 3/4;1\\frac{3}{4};13/4"),
        ("5/2", "2 1/2;2 and a half;2,5;2.5.0;2\u{bd};5/2i;2.5 million"),
        (
            "1000000",
            "1,000,000,0;10,00,000;1000,000;1,000000;1 000 000;1_000_000;1e6;1.000.000;1,000,000,;1,000,00",
        ),
        (
            "12.5",
            "12,5;12.50001;1.25;125;12 .5;12. 5;12.5e0;12.5k;12\u{bd};12 1/2;12.5-13;12.5\u{b1}1;~12.5;>12.5;12.5/1",
        ),
        ("-3", "3;--3;+-3;- 3;\u{2212}\u{2212}3;(3);(-3);3-;minus 3;negative 3;-3.1;-30;-1/3;-3 or 3;-3.."),
        (
            "2/3",
            "\\frac{2}{3;\\frac{2}3;\\frac23;\\frac{3}{2};0.6667;66.7%;2:3;2 of 3;2\u{f7}3;-2/3;\\cfrac{2}{3}",
        ),
        (
            "7",
            "\\boxed{7}\\boxed{8};\\boxed{8};\\text{7};$7$$;7^2;7\\%x;\\sqrt{7};7\\cdot1;7\\,000;7!;seven;07.1",
        ),
        ("1/2", "50%;5%;0,5;\u{bd};half;0.49999999999999999999;a half;1/2/1;0.5e0"),
    ];

    #[test]
    fn near_misses_are_not_equal() {
        let counts = NEAR_MISSES.map(|(answer, texts)| near_misses(answer, texts));
        assert!(counts.iter().sum::<usize>() >= 200);
    }

    #[test]
    fn what_doubles_confuse_or_128_bits_cannot_hold_is_not_equal() {
        for (a, b) in [
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("0.3", "0.30000000000000004"),
            ("1/3", "0.33333333333333333333333333333333333"),
        ] {
            assert_ne!(parse(a).unwrap(), parse(b).unwrap());
        }
        for text in [
            "170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
            "1/170141183460469231731687303715884105728",
            "0.0000000000000000000000000000000000000000",
            "3.14159265358979323846264338327950288419716939937510",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        // Deep nesting must not overflow the stack.
        assert_eq!(parse(&"\\boxed{".repeat(100_000)), None);
    }

    proptest! {
        /// What is shown is read back, however it was reduced; any text is survived.
        #[test]
        fn shown_fractions_read_back(numerator in any::<i64>(), denominator in 1..i64::MAX, text in "\\PC*") {
            let value = Rational::new(numerator.into(), denominator.into()).unwrap();
            prop_assert_eq!(parse(&value.to_string()), Some(value));
            prop_assert_eq!(parse(&format!("{numerator}/{denominator}")), Some(value));
            let _ = parse(&text);
        }
    }
}
