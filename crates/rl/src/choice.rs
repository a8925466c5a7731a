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

                    fn visit_newtype_struct<D: serde::Deserializer<'de>>(
                        self,
                        inner: D,
                    ) -> Result<$name, D::Error> {
                        inner.deserialize_any(self)
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

                deserializer.deserialize_newtype_struct(turnwise_runfile::CHOICE, Choice)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::{AdvantageConfig, Gtpo, LossConfig, NormScope, ShapingConfig, WeightsConfig};

    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    struct Run {
        advantage: AdvantageConfig,
        loss: LossConfig,
        weights: WeightsConfig,
        shaping: ShapingConfig,
    }

    fn read(text: &str) -> Result<Run, String> {
        toml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn a_choice_is_a_name_or_a_table() {
        let run =
            read("advantage = \"grpo_min\"\nloss = \"gspo\"\n[weights.constant]\nlength = 8").expect("valid");
        assert_eq!(
            (run.advantage.name(), run.loss.name(), run.weights.name()),
            ("grpo_min", "gspo", "constant")
        );
        let run = read("[advantage.gtpo]\ngamma = 1\nnorm_scope = \"turn_index\"").expect("valid");
        let expect = Gtpo { gamma: 1.0, norm_scope: NormScope::TurnIndex, ..Gtpo::default() };
        assert_eq!(run.advantage, AdvantageConfig::Gtpo(expect));
        assert_eq!(run.shaping, ShapingConfig::default());
    }

    #[test]
    fn what_was_written_reads_back() {
        for name in AdvantageConfig::NAMES {
            let run = read(&format!("advantage = \"{name}\"")).expect("a name");
            let table = toml::to_string(&std::collections::BTreeMap::from([("advantage", &run.advantage)]));
            assert_eq!(read(&table.expect("serialisable")).expect("valid").advantage, run.advantage);
        }
    }

    #[test]
    fn errors_name_the_line_and_the_choices() {
        let check = |text: &str, line: &str, reason: &str| {
            let error = read(text).err().expect("an error");
            assert!(error.contains(line) && error.contains(reason), "{error}");
        };
        check("\nadvantage = \"gtop\"", "line 2", "unknown variant `gtop`, expected one of `gtpo`");
        check("[advantage.gtpo]\ngama = 1", "line 2", "unknown field `gama`, expected one of `gamma`");
        check("[advantage.gtpo]\ngamma = 1.5", "line 2", "invalid value: 1.5, expected a number from 0 to 1");
        check(
            "[advantage.gtpo]\neps = nan",
            "line 2",
            "invalid value: nan, expected a number from 0 to 1000",
        );
        check(
            "[advantage.grpo]\nddof = 2",
            "line 2",
            "invalid value: 2, expected a whole number from 0 to 1",
        );
        check("[advantage.grpo]\n[advantage.gtpo]", "line 1", "`grpo` and `gtpo` are both chosen");
        check("advantage = 3", "line 1", "one of gtpo, grpo_min");
        check("[advantage]", "line 1", "one of gtpo, grpo_min");
    }
}
