//! Choices of run files: a name or a table with keys, and errors with their line.

use std::collections::BTreeMap;

use serde::Deserialize;
use turnwise_credit::{AdvantageConfig, Gtpo, NormScope, ShapingConfig, WeightsConfig};

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Run {
    advantage: AdvantageConfig,
    weights: WeightsConfig,
    shaping: ShapingConfig,
}

fn read(text: &str) -> Result<Run, String> {
    toml::from_str(text).map_err(|e| e.to_string())
}

#[test]
fn a_choice_is_a_name_or_a_table() {
    let run = read("advantage = \"grpo_min\"\n[weights.constant]\nlength = 8").expect("valid");
    assert_eq!((run.advantage.name(), run.weights.name()), ("grpo_min", "constant"));
    let run = read("[advantage.gtpo]\ngamma = 1\nnorm_scope = \"turn_index\"").expect("valid");
    let expect = Gtpo { gamma: 1.0, norm_scope: NormScope::TurnIndex, ..Gtpo::default() };
    assert_eq!(run.advantage, AdvantageConfig::Gtpo(expect));
    assert_eq!(run.shaping, ShapingConfig::default());
}

#[test]
fn what_was_written_reads_back() {
    for name in AdvantageConfig::NAMES {
        let run = read(&format!("advantage = \"{name}\"")).expect("a name");
        assert_eq!(AdvantageConfig::named(name).as_ref(), Some(&run.advantage));
        let table = toml::to_string(&BTreeMap::from([("advantage", &run.advantage)]));
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
    check("[advantage.gtpo]\neps = nan", "line 2", "invalid value: nan, expected a number from 0 to 1000");
    check("[advantage.grpo]\nddof = 2", "line 2", "invalid value: 2, expected a whole number from 0 to 1");
    check("[advantage.grpo]\n[advantage.gtpo]", "line 1", "`grpo` and `gtpo` are both chosen");
    check("advantage = 3", "line 1", "one of gtpo, grpo_min");
    check("[advantage]", "line 1", "one of gtpo, grpo_min");
}
