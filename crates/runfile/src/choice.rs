//! Externally tagged choices for run files: `advantage = "grpo"` or `[advantage.gtpo]` with keys.

/// Declares a choice between implementations of a trait, with one line for each.
///
/// ```
/// # mod drawing {
/// #     pub trait Shape { fn area(&self) -> f64; }
/// #     pub mod square {
/// #         #[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
/// #         #[serde(default, deny_unknown_fields)]
/// #         pub struct Square { pub side: f64 }
/// #         impl super::Shape for Square { fn area(&self) -> f64 { self.side * self.side } }
/// #     }
/// turnwise_runfile::choice! {
///     /// The shape that is drawn.
///     pub enum ShapeConfig {
///         /// All sides are equal.
///         "square" => Square(square::Square),
///     }
///     /// Returns the shape chosen.
///     pub fn shape(&self) -> &dyn Shape;
/// }
/// # }
/// # use drawing::{Shape, ShapeConfig, Square};
/// let read: ShapeConfig = serde_json::from_str(r#"{"square":{"side":2}}"#).unwrap();
/// assert_eq!(read.shape().area(), 4.0);
/// assert_eq!(ShapeConfig::named("square"), Some(ShapeConfig::default()));
/// assert_eq!(Square { side: 2.0 }.area(), 4.0);
/// ```
///
/// A line holds the key in the run file, the variant and the type of its settings. A type in a module
/// (`square::Square`) is exported beside the choice. The first line is the default, except in an
/// `enum ShapeConfig without default`, whose settings may have keys without one. The method at the end is
/// optional.
///
/// Serde's externally tagged enums take a bare name for unit variants only. Here a bare name is that variant
/// with its defaults. Nothing is buffered, so an error keeps the line of the run file.
#[macro_export]
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident $(without $default:ident)? {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident($($config:ident)::+), )+
        }
        $(#[$method_meta:meta])*
        pub fn $method:ident(&self) -> &dyn $seam:path;
    ) => {
        $crate::choice! {
            $(#[$meta])*
            pub enum $name $(without $default)? {
                $( $(#[$variant_meta])* $key => $variant($($config)::+), )+
            }
        }

        impl $name {
            $(#[$method_meta])*
            pub fn $method(&self) -> &dyn $seam {
                match self { $( Self::$variant(chosen) => chosen, )+ }
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident without default {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident($($config:ident)::+), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $key)] $variant($($config)::+), )+
        }

        $crate::choice!(@names $name $( $key => $variant($($config)::+), )+);
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident($($config:ident)::+), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $key)] $variant($($config)::+), )+
        }

        $crate::choice!(@names $name $( $key => $variant($($config)::+), )+);
        $crate::choice!(@default $name $($variant)+);

        impl $name {
            /// Returns the choice of a name, with its defaults; none for an unknown name.
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $( $key => Some(Self::$variant(<$($config)::+ as Default>::default())), )+
                    _ => None,
                }
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

                    fn visit_newtype_struct<D: serde::Deserializer<'de>>(
                        self,
                        inner: D,
                    ) -> Result<$name, D::Error> {
                        inner.deserialize_any(self)
                    }

                    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<$name, E> {
                        $name::named(name).ok_or_else(|| E::unknown_variant(name, $name::NAMES))
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

                deserializer.deserialize_newtype_struct($crate::CHOICE, Choice)
            }
        }
    };
    (@names $name:ident $( $key:literal => $variant:ident($($config:ident)::+), )+) => {
        $( $crate::choice!(@export $($config)::+); )+

        impl $name {
            /// Lists the names accepted in a run file.
            pub const NAMES: &'static [&'static str] = &[$($key),+];

            /// Returns the name used in a run file.
            pub fn name(&self) -> &'static str {
                match self { $( Self::$variant(_) => $key, )+ }
            }
        }
    };
    (@export $name:ident) => {};
    (@export $module:ident::$name:ident) => { pub use $module::$name; };
    (@default $name:ident $first:ident $($rest:ident)*) => {
        impl Default for $name {
            fn default() -> Self {
                Self::$first(Default::default())
            }
        }
    };
}
