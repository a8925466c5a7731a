use super::*;
use proptest::prelude::*;

/// Checks that each of the texts, separated by `;`, states the number, whatever its unit.
fn check(texts: &str, numerator: i128, denominator: i128) {
    for text in texts.split(';') {
        let value = parse(text).map(|answer| answer.value);
        assert_eq!(value, Some(Rational { numerator, denominator }), "{text:?}");
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
    check("50%;50 %;50\\%;50%.;50 percent;50 per cent;50;$50;5,000 cents;5000¢;$50\\%$", 50, 1);
    check("12 apples;12 apples.;12cm;12 miles per hour;12 square feet;$12 Dollars;24/2 cups", 12, 1);
    check(
        "\\(7\\);\\[7\\];\\( 7 \\).;\\[\n7\n\\];\\(7.\\);$7$;\\(7.0\\);\\(\\frac{14}{2}\\);\\(7{,}000/1000\\)",
        7,
        1,
    );
    check(
        "\\(\\boxed{7}\\);\\boxed{\\(7\\)};\\[\\boxed{\\$7}\\];\\(\\$7\\);\\(7\\%\\);\\(7\\text{ cm}\\);\\(7\\) apples;$7$ apples.",
        7,
        1,
    );
    check("\\boxed{7} apples;\\(7\\)%;\\[7\\] \\text{ cm};\\(700\\) cents", 7, 1);
    check(
        "12\\text{ cm};12 \\text{apples};12\\,\\text{cm}.;$12\\ \\mathrm{kg}$;\\boxed{12\\text{ ft}}",
        12,
        1,
    );
    check(
        "12 people;12 kayaks;12 boxes;12 km;12 Kg;12 sq ft;$12 per hour;12 strawberries;12 miles/hour;€12 euros",
        12,
        1,
    );
    check("\\frac{1}{2}\\text{ cup};.5%;50 cents;$.50;50 cents per minute", 1, 2);
    check("\\boxed{7};\\boxed{ \\boxed{7.0} };\\boxed{\\$7};\\boxed{\\frac{14}{2}};\\boxed{7 apples.}", 7, 1);
    check("170141183460469231731687303715884105727", i128::MAX, 1);
    check("-170141183460469231731687303715884105727", -i128::MAX, 1);
}

/// Checks that none of the texts, separated by `;`, agrees with the answer.
fn near_misses(answer: &str, texts: &str) -> usize {
    let right = parse(answer).unwrap();
    for text in texts.split(';') {
        let agrees = parse(text).is_some_and(|given| given.agrees(&right) || right.agrees(&given));
        assert!(!agrees, "{text:?} for {answer}");
    }
    texts.split(';').count()
}

/// Right answers, each with texts that are nearly it.
const NEAR_MISSES: [(&str, &str); 43] = [
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
    ("3/4", "0.74;0.7500001;0.75%;75;3 3/4;4/3;34;3/4/2020;3\\4;3|4;3 4"),
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
    ("1/2", "0.5%;1/2%;5%;50;0,5;\u{bd};half;0.49999999999999999999;a half;1/2/1;0.5e0"),
    (
        "5",
        "5 twelfths;5 tens;5 pairs;5 pair;5 twenty;5 fewer;5 dozens;5 grand;5 kilo;5 myriad;5 couples;5 doubled",
    ),
    (
        "5",
        "5 gross;5 twos;5 halfs;5 nickels;5 quarters;5 higher;5 extra;5 lower;5 pm;5 MM;5 mil;5 per;5 per hour",
    ),
    (
        "5",
        "5 apples oranges;5 hours minutes;5 square;5 cm^2;5 per cent cent;5\\text{ tens};5\\text{;5\\text{}6",
    ),
    ("42", "42 fewer;42 twelfths;42\\text{ or }43;42\\text{ apples}43;$$42;42$.$;-$42$;$42$$;\\$42$;\\$$42"),
    ("$50", "50 cents;50¢;$50 cents;50%;€50;£50;50 euros;$50%;$50 apples;500 cents;$0.50;50 hours;50 lbs"),
    ("50", "5000%;0.5;1/2;5000 cents per;$50 %;50 cents%;500 cents;0.5 cents"),
    ("0.5", "0.5%;.5 percent;500%;5000%;50;5 cents;$50"),
    (
        "42",
        "\\(42;42\\);\\[42\\);\\(42\\] ;\\(\\(42\\)\\);$\\(42\\)$;\\(42\\)\\(43\\);\\(4\\)2;\\(x = 42\\);\\(\\)",
    ),
    (
        "42",
        "$42$ or $43$;\\(42\\) or 43;\\(42\\) is wrong;\\(42\\) million;\\boxed{42} hundred;\\(42 apples\\) pears;\\(42\\)\napples",
    ),
    ("50%", "5000;0.005;.5%;5;500;$50;50 cents;50 apples;50% per year;0.50%"),
    ("5 hours", "5 minutes;5 hours per day;5 apples;$5;5%;300 minutes;300;5 square hours"),
    (
        "1234",
        "1{,}23;1{,}2345;{,}234;1{,};1{234;1{,}234{,}5;12{,}34;1234{,}000;1{,,}234;1{.}234;1{,}{,}234;1{, }234",
    ),
    (
        "5",
        "5 billions;5 less;5 plus;5 minus;5 hundredths;5 sixes;5 scores;5 Pennies;5 green;5 short;5 kayaks each;5 yes",
    ),
    (
        "5",
        "5 Ms;5 ks;5 MMs;5 per dozen;5 kayaks per hundred;5 kayaks per;5 mils;5 square kayaks;5 trios;5 was;5 does",
    ),
    (
        "5",
        "5 fifteens;5 milliards;5 grosses;5 trebles;5 triplets;5 permilles;5 reciprocals;5 factorials;5 perhaps;5 upwards",
    ),
    (
        "5",
        "5 kayaks per million;$5 per billion;$5 per six;$5 per twenty;5 kayaks per thousands;$5 per fifteen;$5 per gross;\
         $5 per penny;5 kayaks per fifth;5 kayaks per less",
    ),
    ("5 kayaks", "5 canoes;5%;$5;5 kayaks per day;5 hours;5 square feet"),
    ("1", "1%;1 percent;100;100 cents per cent;0.01;1%%"),
    ("1 dollar", "1 cent;1¢"),
    ("50 cents", "50 dollars;$50;5 cents;5000 cents;50%;50 euros"),
];

/// Texts that state the same as their answer.
#[test]
fn units_are_compared_and_percentages_and_cents_converted() {
    for (answer, texts) in [
        (
            "50",
            "50;50%;$50;50 apples;50 dollars;5000 cents;€50;50\\text{ cm};50.0 percent;50 cents;50¢;50 cents per hour",
        ),
        ("0.5", "1/2;50%;50 percent;50\\%;50 cents;$0.50;0.5 hours;0.5 cents;0.5¢"),
        ("1", "100%;100 cents;1 hour;1 cent"),
        ("50 cents", "50;0.5;$0.50;50¢;50.0 cents;1/2 dollars;\\(50\\) cents"),
        ("50%", "50;0.5;1/2;50 percent;100/2%;\\frac{1}{2}"),
        ("150%", "150;150%"),
        ("$0.50", "50 cents;50¢;.5;0.50 dollars;$1/2;1/2 USD"),
        ("7 kayaks", "7;7 Kayaks;14/2 kayaks"),
        ("1 apples", "1 apple;1;1 Apple;3/3 apples"),
        ("5 hours", "5;5 hrs;5.0 Hours;10/2 hour;5\\text{ hours}"),
        ("-5%", "-5;-0.05;-5 percent"),
        ("0", "0%;$0;0 cents;0 apples"),
    ] {
        let right = parse(answer).unwrap();
        for text in texts.split(';') {
            let given = parse(text).unwrap_or_else(|| panic!("{text:?} is no answer"));
            assert!(given.agrees(&right) && right.agrees(&given), "{text:?} for {answer}");
            assert_eq!(parse(&given.to_string()), Some(given), "{text:?}");
        }
    }
}

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
    /// Checks that shown numbers are read back, and that no text panics.
    #[test]
    fn shown_fractions_read_back(numerator in any::<i64>(), denominator in 1..i64::MAX, text in "\\PC*") {
        let value = Rational::new(numerator.into(), denominator.into()).unwrap();
        let value = Answer { value, unit: None, written: None };
        prop_assert_eq!(parse(&value.to_string()), Some(value.clone()));
        prop_assert_eq!(parse(&format!("{numerator}/{denominator}")), Some(value));
        let _ = parse(&text);
    }
}

/// Checks that votes for one value are equal, whatever their spelling. If the right answer has a unit,
/// another unit is another value.
#[test]
fn votes_count_values() {
    for (right, same, others) in [
        ("50", "41;41.0;$41;41 apples;82/2;41 dollars.;\\(41\\);\\boxed{41};41%;41 cents;+41", "42;4.1;-41"),
        ("0.5", "0.41;41%;41/100;41 percent", "41;0.41%"),
        ("$50", "41;$41;41 dollars;4100 cents;41.00 USD", "41 cents;41 euros;41%;41 apples;42"),
        ("50 cents", "41;41 cents;$0.41;41¢", "$41;41 euros;40"),
        ("5 hours", "6;6 hrs;12/2 hours", "6 minutes;6 apples"),
        ("Ann", "Bob;bob;BOB.;\u{201c}Bob\u{201d}", "Ann;Bobby"),
    ] {
        let one = vote(right, same.split(';').next().unwrap());
        for given in same.split(';') {
            assert_eq!(vote(right, given), one, "{given} for {right}");
        }
        for given in others.split(';') {
            assert_ne!(vote(right, given), one, "{given} for {right}");
        }
    }
}
