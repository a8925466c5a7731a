//! Plain names for run files and arguments: `format = "hermes"`.

/// Says that no name of the list is this one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} {name:?}\n  hint: one of {}", known.join(", "))]
pub struct UnknownName {
    /// The kind of thing that the list names.
    pub kind: &'static str,
    /// The name that was given.
    pub name: String,
    /// The names of the list.
    pub known: &'static [&'static str],
}

/// Declares the names that a key takes, and the one line that registers each of them.
///
/// ```
/// turnwise_runfile::names! {
///     /// The order of tasks.
///     pub enum Order("order") {
///         /// That of the file.
///         "file" => File,
///         /// Any.
///         "shuffled" => Shuffled,
///     }
/// }
/// assert_eq!("shuffled".parse(), Ok(Order::Shuffled));
/// assert_eq!(Order::File.to_string(), "file");
/// assert_eq!(
///     "random".parse::<Order>().unwrap_err().to_string(),
///     "unknown order \"random\"\n  hint: one of file, shuffled"
/// );
/// ```
///
/// A line holds the name and the variant. The text after the enum's name is its kind in error messages.
/// Lines may go on with `= value` if a method follows that returns it in a box, as in
/// `pub fn build(self) -> Box<dyn Trait>;`.
#[macro_export]
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident($kind:literal) {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident = $value:expr, )+
        }
        $(#[$method_meta:meta])*
        pub fn $method:ident(self) -> Box<dyn $seam:path>;
    ) => {
        $crate::names! {
            $(#[$meta])*
            pub enum $name($kind) { $( $(#[$variant_meta])* $key => $variant, )+ }
        }

        impl $name {
            $(#[$method_meta])*
            pub fn $method(self) -> Box<dyn $seam> {
                match self { $( Self::$variant => Box::new($value), )+ }
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub enum $name:ident($kind:literal) {
            $( $(#[$variant_meta:meta])* $key:literal => $variant:ident, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $key)] $variant, )+
        }

        impl $name {
            /// Every variant, in the order of [`Self::NAMES`].
            pub const ALL: [Self; [$($key),+].len()] = [$(Self::$variant),+];

            /// The names accepted in a run file and as an argument.
            pub const NAMES: &'static [&'static str] = &[$($key),+];

            /// Returns the name used in a run file.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $key, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $( $key => Ok(Self::$variant), )+
                    _ => Err($crate::UnknownName { kind: $kind, name: name.into(), known: Self::NAMES }),
                }
            }
        }
    };
}
