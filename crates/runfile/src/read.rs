//! Reads numbers from a file and checks their ranges.

use std::collections::BTreeMap;
use std::fmt::Formatter;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::number::float;
use crate::{Number, Range};

/// Reads a field with a range: a number, an optional one, a list, or a map from names.
pub trait Ranged<'de>: Sized {
    /// Reads the value. The error names the value and the range.
    fn read<D: Deserializer<'de>>(range: Range, deserializer: D) -> Result<Self, D::Error>;
}

/// Reads one number.
struct One<T>(Range, PhantomData<T>);

impl<'de, T: Number> Ranged<'de> for T {
    fn read<D: Deserializer<'de>>(range: Range, deserializer: D) -> Result<Self, D::Error> {
        let one = || One(range, PhantomData::<T>);
        deserializer.deserialize_any(one()).map_err(|error| {
            // TOML's reader refuses a number that is too large to compare.
            if error.to_string().contains("number overflowed") {
                return D::Error::invalid_value(Unexpected::Other("too large a number"), &one());
            }
            error
        })
    }
}

impl<T: Number> One<T> {
    fn checked<E: Error>(&self, number: Option<T>, text: &str) -> Result<T, E> {
        let number = number.filter(|number| number.is_in(self.0));
        number.ok_or_else(|| E::invalid_value(Unexpected::Other(text), self))
    }
}

impl<T: Number> Visitor<'_> for One<T> {
    type Value = T;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.in_words(T::WHOLE))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_i128(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_i128(number.into())
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<T, E> {
        self.checked(T::from_whole(number), &number.to_string())
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<T, E> {
        self.checked(i128::try_from(number).ok().and_then(T::from_whole), &number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.checked(T::from_float(number), &float(number))
    }
}

/// Reads one or none.
struct Maybe<T>(Range, PhantomData<T>);

impl<'de, T: Number> Ranged<'de> for Option<T> {
    fn read<D: Deserializer<'de>>(range: Range, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(Maybe(range, PhantomData))
    }
}

impl<'de, T: Number> Visitor<'de> for Maybe<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.in_words(T::WHOLE))
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        T::read(self.0, deserializer).map(Some)
    }
}

/// Reads a list, or with [`serde::de::DeserializeSeed`] one item of it.
struct Items<T>(Range, PhantomData<T>);

impl<'de, T: Number> Ranged<'de> for Vec<T> {
    fn read<D: Deserializer<'de>>(range: Range, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(range, PhantomData))
    }
}

impl<'de, T: Number> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = items.next_element_seed(Items(self.0, PhantomData::<T>))? {
            numbers.push(number);
        }
        Ok(numbers)
    }
}

impl<'de, T: Number> Ranged<'de> for BTreeMap<String, T> {
    fn read<D: Deserializer<'de>>(range: Range, deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Names(range, PhantomData))
    }
}

/// Reads a map from names to numbers.
struct Names<T>(Range, PhantomData<T>);

impl<'de, T: Number> Visitor<'de> for Names<T> {
    type Value = BTreeMap<String, T>;

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("a table with keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut numbers = BTreeMap::new();
        while let Some(name) = map.next_key()? {
            numbers.insert(name, map.next_value_seed(Items(self.0, PhantomData))?);
        }
        Ok(numbers)
    }
}

impl<'de, T: Number> serde::de::DeserializeSeed<'de> for Items<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(self.0, deserializer)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use serde::Deserialize;

    use crate::{Above, Parts, Seed, Within};

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Keys {
        #[serde(deserialize_with = "Above::<0, 100>::read")]
        rate: f64,
        #[serde(deserialize_with = "Seed::read")]
        seed: u64,
        #[serde(deserialize_with = "Within::<-5, 5>::read")]
        shift: i64,
        #[serde(deserialize_with = "Within::<1, 8>::read")]
        limit: Option<usize>,
        #[serde(deserialize_with = "Within::<2, 8>::read")]
        levels: Vec<u32>,
        #[serde(deserialize_with = "Within::<1, 8>::read")]
        batch: Option<NonZeroUsize>,
        #[serde(deserialize_with = "Parts::<1, 50, 10>::read")]
        wait: f64,
    }

    #[test]
    fn numbers_of_the_range_are_read_as_they_stand() {
        let text = "rate = 1\nseed = 9223372036854775807\nshift = -5\nlimit = 8\nlevels = [2, 8]\n\
                    batch = 1\nwait = 5";
        let keys = Keys {
            rate: 1.0,
            seed: i64::MAX as u64,
            shift: -5,
            limit: Some(8),
            levels: vec![2, 8],
            batch: NonZeroUsize::new(1),
            wait: 5.0,
        };
        assert_eq!(toml::from_str::<Keys>(text).unwrap(), keys);
        let json = "{\"rate\": 1, \"limit\": null, \"levels\": []}";
        assert_eq!(serde_json::from_str::<Keys>(json).unwrap(), Keys { rate: 1.0, ..Keys::default() });
    }

    #[test]
    fn others_are_refused_with_value_range_and_line() {
        let check = |line: &str, value: &str, range: &str| {
            let error = toml::from_str::<Keys>(&format!("\n{line}")).unwrap_err();
            let line = error.to_string();
            assert!(line.contains("line 2"), "{line}");
            assert_eq!(error.message(), format!("invalid {value}, expected {range}"));
        };
        let rate = "a number above 0, at most 100";
        for (text, told) in [("0", "0"), ("nan", "nan"), ("-inf", "-inf"), ("1e308", "1e308"), ("-3", "-3")] {
            check(&format!("rate = {text}"), &format!("value: {told}"), rate);
        }
        check("rate = 1e999", "value: too large a number", rate);
        check("rate = \"x\"", "type: string \"x\"", rate);
        let seed = "a whole number from 0 to 9223372036854775807";
        let huge = "9".repeat(60);
        check("seed = -1", "value: -1", seed);
        check("seed = 1.5", "value: 1.5", seed);
        check("seed = 9223372036854775808", "value: 9223372036854775808", seed);
        check("seed = 18446744073709551616", "value: 18446744073709551616", seed);
        check(&format!("seed = {huge}"), "value: too large a number", seed);
        check("shift = -6", "value: -6", "a whole number from -5 to 5");
        check("limit = 0", "value: 0", "a whole number from 1 to 8");
        check("levels = [2, 1]", "value: 1", "a whole number from 2 to 8");
        check("levels = 2", "type: integer `2`", "an array");
        check("batch = 0", "value: 0", "a whole number from 1 to 8");
        check("wait = 0.09", "value: 0.09", "a number from 0.1 to 5");
    }
}
