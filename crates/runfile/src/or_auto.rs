//! A name, or `auto`: what else is known decides.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, Visitor};
use serde::{Serialize, Serializer};

/// Holds a name of a run file or an argument, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrAuto<T> {
    /// `auto`.
    Auto,
    /// The name.
    Named(T),
}

impl<T> OrAuto<T> {
    /// Returns the name, or `found` for `auto`.
    pub fn or_else(self, found: impl FnOnce() -> T) -> T {
        match self {
            Self::Auto => found(),
            Self::Named(named) => named,
        }
    }
}

impl<T: FromStr> FromStr for OrAuto<T> {
    type Err = T::Err;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "auto" { Ok(Self::Auto) } else { name.parse().map(Self::Named) }
    }
}

impl<T: Serialize> Serialize for OrAuto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Named(named) => named.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrAuto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Name<T> {
            type Value = OrAuto<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, or \"auto\"")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
                match name {
                    "auto" => Ok(OrAuto::Auto),
                    name => T::deserialize(name.into_deserializer()).map(OrAuto::Named),
                }
            }
        }

        deserializer.deserialize_str(Name(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Colour {
        #[serde(rename = "red")]
        Red,
    }

    #[test]
    fn a_name_or_auto_is_read_and_written() {
        for (value, text) in [(OrAuto::Auto, "\"auto\""), (OrAuto::Named(Colour::Red), "\"red\"")] {
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
            assert_eq!(serde_json::from_str::<OrAuto<Colour>>(text).unwrap(), value);
        }
        let wrong = serde_json::from_str::<OrAuto<Colour>>("\"blue\"").unwrap_err().to_string();
        assert!(wrong.contains("blue") && wrong.contains("red"), "{wrong}");
    }
}
