//! Units that may follow a number. The list is closed: a word that isn't on it may change the number (`5 tens`,
//! `5 fewer`), and no list of such words is ever complete.

/// The name of percentages.
pub(super) const PERCENT: &str = "%";
/// The name of dollars; cents are hundredths of it.
pub(super) const DOLLAR: &str = "dollar";

/// Units of measure, a line each: the name, and how else it is written. Plurals in `s` and `es` go without saying. No
/// spelling has one letter, which may be a scale (5k, 5M), a variable (5x) or the imaginary unit.
const MEASURES: &str = "\
% \\% percent
dollar buck USD
euro EUR €
sterling quid GBP £
yen JPY
rupee INR
meter metre
centimeter centimetre cm
millimeter millimetre mm
kilometer kilometre km
inch
foot feet ft
yard yd
mile
mph
kmh kph
gram
kilogram kg
milligram mg
ton tonne
pound lb
ounce oz
liter litre
milliliter millilitre ml
cup
pint
quart
gallon
teaspoon tsp
tablespoon tbsp
acre
hectare
second sec
minute min
hour hr
day
week
month
year yr
degree
radian
calorie
watt
kilowatt
volt
unit";

/// Things that are counted. What names a number of things (a pair, a dozen) or a coin is none.
const THINGS: &str = "\
animal apple baby bag ball balloon banana bar basket battery bead bean bed bee bird block boat book bottle bowl box \
boy bracelet branch bread brick brother bucket building bus button cake calf can candle candy car card carrot cat \
chair chicken child chocolate class classroom coin computer cookie cow crayon crate customer desk dog doll donut door \
dress drink duck egg employee envelope family fan farmer fish flower friend fruit game gift girl glass goat grape \
guest hat hen horse hotdog house item jar kid kitten lap lemon lesson letter lion lollipop loaf magazine man marble \
match meal member message minion monkey muffin mug nail necklace notebook onion orange orchid package page painting \
pancake paper passenger patient peach peanut pear pen pencil people person photo pie piece pig pigeon pill pizza plant \
plate player potato present problem puppy puzzle question rabbit ribbon ring room rose sandwich scarf seashell seat \
seed sheep shell shirt shoe shop sister skirt slice snack sock song soldier spider sticker stone strawberry student \
sweater table teacher ticket tile tomato tooth toy tray tree truck vehicle visitor wheel window woman word worker";

const IRREGULAR: [(&str, &str); 9] = [
    ("calves", "calf"),
    ("children", "child"),
    ("feet", "foot"),
    ("loaves", "loaf"),
    ("men", "man"),
    ("people", "person"),
    ("scarves", "scarf"),
    ("teeth", "tooth"),
    ("women", "woman"),
];

/// A unit, and how many of what was written make one of it.
#[derive(Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) name: Option<String>,
    pub(super) parts: i128,
}

/// The unit in the text after a number, none if it's anything else. `before` names the currency in front of the number.
///
/// ```text
/// unit = ["square" | "cubic"] word ["per" ["square" | "cubic"] word]
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
        (Some(_), None) => measured(&mut words)?,
        (Some(_), Some(before)) => measured(&mut words).filter(|name| name == before)?,
    };
    let name = match words.next() {
        None => name,
        Some("per") => format!("{name} per {}", measured(&mut words)?),
        Some(_) => return None,
    };
    words.next().is_none().then_some(Unit { name: Some(name), parts })
}

/// The text without LaTeX around it: spaces, and `\text{…}`.
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

fn measured<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    let power = |word: &str| match word {
        "square" | "sq" => Some("square"),
        "cubic" => Some("cubic"),
        _ => None,
    };
    let word = words.next()?;
    match power(word) {
        Some(power) => Some(format!("{power} {}", name(words.next()?)?)),
        None => name(word),
    }
}

/// The name of the unit that a word writes.
fn name(word: &str) -> Option<String> {
    // MM may be millions, so that capitals alone must be listed.
    let shouted = word.len() < 4 && word.chars().all(|c| c.is_ascii_uppercase());
    let word = if shouted { word.to_string() } else { word.to_lowercase() };
    if let Some((_, singular)) = IRREGULAR.iter().find(|(plural, _)| *plural == word) {
        return Some((*singular).to_string());
    }
    let listed = |word: &str| {
        let measure = MEASURES.lines().find(|line| line.split(' ').any(|spelling| spelling == word));
        let thing = || THINGS.split(' ').find(|thing| *thing == word);
        measure
            .map(|line| line.split(' ').next().expect("a line has a name"))
            .or_else(thing)
            .map(str::to_string)
    };
    let is_word = word.chars().all(|c| c.is_ascii_alphabetic());
    let stems = [word.strip_suffix('s'), word.strip_suffix("es")].into_iter().flatten().filter(|_| is_word);
    listed(&word)
        .or_else(|| stems.clone().find_map(listed))
        .or_else(|| listed(&format!("{}y", word.strip_suffix("ies")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_one_name_however_they_are_written() {
        for (text, name, parts) in [
            ("apples", "apple", 1),
            ("Apple", "apple", 1),
            (" strawberries", "strawberry", 1),
            ("people", "person", 1),
            ("feet", "foot", 1),
            ("boxes", "box", 1),
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
