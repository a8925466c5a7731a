//! Ranges of numbers as the sources declare them: `Within::<0, 1>` at a field, or the name of such a type.

use std::path::{Path, PathBuf};

use turnwise_runfile::Range;

use crate::source::shared;

/// `type Seconds = Within<1, 60>;`
pub(crate) struct Named {
    name: String,
    file: PathBuf,
    range: Range,
}

/// The ranges that a file gives a name.
pub(crate) fn named(file: &Path, text: &str) -> Vec<Named> {
    let of_line = |line: &str| {
        let (name, range) = line.split_once("type ")?.1.strip_suffix(';')?.split_once(" = ")?;
        Some(Named { name: name.into(), file: file.into(), range: range_of(range)? })
    };
    text.lines().filter_map(of_line).collect()
}

/// The range that a field's attributes name; of several of that name, the nearest.
pub(crate) fn of_attributes(attributes: &str, file: &Path, named: &[Named]) -> Option<Range> {
    let path = attributes.split("deserialize_with = \"").nth(1)?.split('"').next()?;
    let path = path.strip_suffix("::read")?;
    let by_name = || {
        let of_name = named.iter().filter(|range| range.name == path);
        of_name.max_by_key(|range| shared(&range.file, file)).map(|named| named.range)
    };
    Some(range_of(path).or_else(by_name).unwrap_or_else(|| panic!("{path} is no range of the sources")))
}

/// `Within<0, 1>` or `Within::<0, 1>`.
fn range_of(text: &str) -> Option<Range> {
    let (kind, numbers) = text.strip_suffix('>')?.split_once('<')?;
    let numbers: Option<Vec<i64>> =
        numbers.split(',').map(|number| number.trim().replace('_', "").parse().ok()).collect();
    let kind = kind.trim_end_matches("::").rsplit("::").next().unwrap_or(kind);
    match (kind, numbers?.as_slice()) {
        ("Within", &[least, most]) => Some(Range { least, most, per: 1, open_below: false }),
        ("Above", &[least, most]) => Some(Range { least, most, per: 1, open_below: true }),
        ("Parts", &[least, most, per]) => Some(Range { least, most, per, open_below: false }),
        _ => None,
    }
}
