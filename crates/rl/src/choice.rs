//! Externally tagged choices for run files: `advantage = "grpo"` or `[advantage.gtpo]` with keys.

/// Declares a choice between implementations. Each line registers one: key in the run file, variant, config.
///
/// Serde's own externally tagged enums take a bare name for unit variants only. Here a bare name means that
/// variant with its defaults, and nothing is buffered, so an error keeps the line of the run file.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident($config:ty), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $key)] $variant($config), )+
        }

        impl $name {
            /// The names accepted in a run file.
            pub const NAMES: &'static [&'static str] = &[$($key),+];

            /// The name used in a run file.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$variant(_) => $key, )+ }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Choice;

                impl<'de> serde::de::Visitor<'de> for Choice {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(f, "one of {} (as a name, or as a table with keys)", $name::NAMES.join(", "))
                    }

                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$name, E> {
                        match name {
                            $( $key => Ok($name::$variant(<$config>::default())), )+
                            other => Err(E::unknown_variant(other, $name::NAMES)),
                        }
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        use serde::de::Error as _;
                        let Some(name) = map.next_key::<String>()? else {
                            return Err(A::Error::invalid_length(0, &self));
                        };
                        let chosen = match name.as_str() {
                            $( $key => $name::$variant(map.next_value()?), )+
                            other => return Err(A::Error::unknown_variant(other, $name::NAMES)),
                        };
                        match map.next_key::<String>()? {
                            None => Ok(chosen),
                            Some(second) => Err(A::Error::custom(format!(
                                "`{name}` and `{second}` are both chosen: keep one"
                            ))),
                        }
                    }
                }

                deserializer.deserialize_any(Choice)
            }
        }
    };
}
