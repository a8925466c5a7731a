//! Reads units that may follow a number: measures of a closed list, and counted things, whose plurals are
//! recognised by their form. Singulars come from a list too. An adjective or a verb may change the number (`5
//! fewer`), and no list of such words is complete. Few plurals do (`5 tens`).

/// The name of percentages.
pub(super) const PERCENT: &str = "%";
/// The name of dollars. Cents are hundredths of it.
pub(super) const DOLLAR: &str = "dollar";

/// Units of measure, one a line: the name, then other spellings. Plurals in `s` and `es` needn't be listed.
/// No spelling has one letter, which may be a scale (5k, 5M), a variable (5x) or the imaginary unit.
const MEASURES: &str = include_str!("words/measures.txt");

/// Plurals without an `s`, and those that end as no plural should.
const PLURALS: &str = include_str!("words/plurals.txt");

/// Singulars of things.
const THINGS: &str = include_str!("words/things.txt");

/// Words in `s` that change the number, name a coin, or aren't plurals, besides those that end as
/// [`ENDINGS`].
const NO_THINGS: &str = include_str!("words/no_things.txt");

/// Endings of fractions (tenths), of numbers (fifteens, millions, milliards), and of words that aren't
/// plurals (less, this, minus).
const ENDINGS: [&str; 7] = ["ths", "teens", "illions", "illiards", "ss", "is", "us"];

/// Names a unit, and says how many of the written number make one of it.
#[derive(Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) name: Option<String>,
    pub(super) parts: i128,
}

/// Returns the unit in the text after a number, or none if it's another text. `before` names the currency in
/// front of the number.
///
/// ```text
/// unit    = (measure | things) ["per" (measure | thing)]
/// measure = ["square" | "cubic"] word of the list
/// ```
pub(super) fn read(text: &str, before: Option<&str>) -> Option<Unit> {
    if text.contains(['\n', '\r', '\t']) {
        return None;
    }
    let text = plain(text)?.replace('/', " per ");
    let words: Vec<&str> = text.split_whitespace().collect();
    if words == ["per", "cent"] && before.is_none() {
        return Some(Unit { name: Some(PERCENT.into()), parts: 1 });
    }
    let mut words = words.into_iter().peekable();
    let mut parts = 1;
    let name = match (words.peek().copied(), before) {
        (None, _) => return Some(Unit { name: before.map(str::to_string), parts }),
        (Some("per"), Some(before)) => before.to_string(),
        (Some("¢" | "cent" | "cents"), None) => {
            words.next();
            parts = 100;
            DOLLAR.to_string()
        }
        (Some(_), None) => read_name(&mut words, things)?,
        (Some(_), Some(before)) => read_name(&mut words, things).filter(|name| name == before)?,
    };
    let name = match words.next() {
        None => name,
        Some("per") => format!("{name} per {}", read_name(&mut words, thing)?),
        Some(_) => return None,
    };
    words.next().is_none().then_some(Unit { name: Some(name), parts })
}

/// Returns the text without LaTeX around it: spaces, and `\text{…}`.
fn plain(text: &str) -> Option<&str> {
    let mut text = text.trim();
    while let Some(rest) = ["\\,", "\\ ", "\\;", "~"].iter().find_map(|space| text.strip_prefix(space)) {
        text = rest.trim_start();
    }
    match ["\\text{", "\\textrm{", "\\mathrm{"].iter().find_map(|command| text.strip_prefix(command)) {
        Some(inner) => inner.strip_suffix('}').map(str::trim),
        None => Some(text),
    }
}

/// Returns the name of a measure, or the reading of `other`.
fn read_name<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    other: fn(&str) -> Option<String>,
) -> Option<String> {
    let word = words.next()?;
    let power = match word {
        "square" | "sq" => "square",
        "cubic" => "cubic",
        _ => return measure(word).or_else(|| other(word)),
    };
    Some(format!("{power} {}", measure(words.next()?)?))
}

/// Returns the name of the measure that a word spells.
fn measure(word: &str) -> Option<String> {
    // MM may be millions, so capitals must be listed.
    let shouted = word.len() < 4 && word.trim_end_matches('s').chars().all(|c| c.is_ascii_uppercase());
    let word = if shouted { word.to_string() } else { word.to_lowercase() };
    let listed = |word: &str| {
        let measure = MEASURES.lines().find(|line| line.split(' ').any(|spelling| spelling == word))?;
        measure.split(' ').next().map(str::to_string)
    };
    let is_word = word.chars().all(|c| c.is_ascii_alphabetic());
    let stems = [word.strip_suffix('s'), word.strip_suffix("es")].into_iter().flatten().filter(|_| is_word);
    listed(&word).or_else(|| stems.into_iter().find_map(listed))
}

/// Returns the plural of counted things, also from the singular.
fn things(word: &str) -> Option<String> {
    let one = thing(word);
    let word = plain_word(word)?;
    let excepted = || among(NO_THINGS, &word) || ENDINGS.iter().any(|ending| word.ends_with(ending));
    // Most words of three letters are abbreviations.
    let many = || word.len() > 3 && word.ends_with('s') && !excepted() || among(PLURALS, &word);
    one.map(|one| plural(&one)).or_else(|| many().then_some(word.clone()))
}

/// Returns the singular of a thing.
fn thing(word: &str) -> Option<String> {
    plain_word(word).filter(|word| among(THINGS, word))
}

fn plural(thing: &str) -> String {
    let irregular = match thing {
        "child" => Some("children"),
        "man" => Some("men"),
        "person" => Some("people"),
        "woman" => Some("women"),
        _ => None,
    };
    let stem = thing.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o']));
    match (irregular, stem) {
        (Some(plural), _) => plural.into(),
        (None, Some(stem)) => format!("{stem}ies"),
        _ if thing.ends_with(['s', 'x']) => format!("{thing}es"),
        _ => format!("{thing}s"),
    }
}

/// Returns a word of letters that isn't an abbreviation, in lower case.
fn plain_word(word: &str) -> Option<String> {
    let plain = word.len() > 2 && word.chars().skip(1).all(|c| c.is_ascii_lowercase());
    (plain && word.starts_with(|c: char| c.is_ascii_alphabetic())).then(|| word.to_lowercase())
}

fn among(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|listed| listed == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_one_name_however_they_are_written() {
        for (text, name, parts) in [
            ("Apples", "apples", 1),
            (" strawberries", "strawberries", 1),
            ("kayaks per child", "kayaks per child", 1),
            ("kayaks per Person", "kayaks per person", 1),
            ("people", "people", 1),
            ("person", "people", 1),
            ("apple", "apples", 1),
            ("box", "boxes", 1),
            ("family", "families", 1),
            ("toy", "toys", 1),
            ("kiwis", "kiwis", 1),
            ("moths", "moths", 1),
            ("feet", "foot", 1),
            ("inches", "inch", 1),
            ("months", "month", 1),
            ("kg", "kilogram", 1),
            ("USD", "dollar", 1),
            ("\\text{ cm}", "centimeter", 1),
            ("\\,\\mathrm{cm}", "centimeter", 1),
            ("sq ft", "square foot", 1),
            ("miles per hour", "mile per hour", 1),
            ("miles/hour", "mile per hour", 1),
            ("¢", "dollar", 100),
            ("cents per minute", "dollar per minute", 100),
            ("% per year", "% per year", 1),
            ("per cent", "%", 1),
            ("\\%", "%", 1),
        ] {
            assert_eq!(read(text, None), Some(Unit { name: Some(name.into()), parts }), "{text}");
        }
        for text in ["", " dollars", "USD", " per hour"] {
            assert!(read(text, Some(DOLLAR)).is_some(), "{text}");
        }
        assert_eq!(read("", None), Some(Unit { name: None, parts: 1 }));
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "tens",
            "pairs",
            "billions",
            "sixteenths",
            "plus",
            "less",
            "green",
            "kayak",
            "MM",
            "%s",
            "apples oranges",
            "square",
            "per hour",
            "hours per",
            "cm^2",
            "\\text{cm}^2",
            "\\text{cm",
            "apples\npears",
            "s",
            "es",
            "ies",
            "cents cents",
            "dollars per cent",
            "apples per hour per day",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
        for text in ["cents", "euros", "%", "apples", "per cent"] {
            assert_eq!(read(text, Some(DOLLAR)), None, "{text}");
        }
    }
}
