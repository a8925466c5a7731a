//! Experts' matrices on top of each other, as transformers 5 has them in memory and may save them.

use std::ops::Range;

/// Names of stacks after a layer's path, with the matrices that each expert has there, one after the other.
const STACKS: [(&str, &[&str]); 2] =
    [(".mlp.experts.gate_up_proj", &["gate_proj", "up_proj"]), (".mlp.experts.down_proj", &["down_proj"])];

/// Holds the place of one expert's matrix in a stack.
pub(crate) struct Stacked {
    pub(crate) stack: String,
    pub(crate) shape: [usize; 2],
    /// Its numbers among those of the stack.
    pub(crate) numbers: Range<usize>,
}

/// Lists the matrices of a stack under the names that they have in separate tensors. Other tensors have none.
pub(crate) fn matrices(stack: &str, shape: &[usize]) -> Vec<(String, Stacked)> {
    let known = STACKS.iter().find_map(|(end, parts)| Some((stack.strip_suffix(end)?, *parts)));
    let (Some((layer, parts)), &[experts, rows, columns]) = (known, shape) else { return Vec::new() };
    if !rows.is_multiple_of(parts.len()) {
        return Vec::new();
    }
    let rows = rows / parts.len();
    let all = (0..experts).flat_map(|expert| parts.iter().map(move |part| (expert, part)));
    let place = |(at, (expert, part)): (usize, (usize, &&str))| {
        let numbers = at * rows * columns..(at + 1) * rows * columns;
        let name = format!("{layer}.mlp.experts.{expert}.{part}.weight");
        (name, Stacked { stack: stack.to_string(), shape: [rows, columns], numbers })
    };
    all.enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_lie_one_behind_the_other() {
        let at = "model.layers.3.mlp.experts";
        let found = matrices(&format!("{at}.gate_up_proj"), &[2, 6, 5]);
        let names: Vec<_> = found.iter().map(|(name, _)| name.strip_prefix(at).unwrap()).collect();
        let expect = [".0.gate_proj.weight", ".0.up_proj.weight", ".1.gate_proj.weight", ".1.up_proj.weight"];
        assert_eq!(names, expect);
        let places: Vec<_> = found.iter().map(|(_, place)| place.numbers.clone()).collect();
        assert_eq!(places, [0..15, 15..30, 30..45, 45..60]);
        assert_eq!(matrices(&format!("{at}.down_proj"), &[2, 5, 3]).len(), 2);
        for (name, shape) in [("gate_up_proj", &[2, 5, 5][..]), ("down_proj", &[5, 3]), ("down", &[2, 5, 3])]
        {
            assert!(matrices(&format!("{at}.{name}"), shape).is_empty(), "{name}");
        }
        assert!(matrices("model.layers.3.mlp.down_proj", &[2, 5, 3]).is_empty());
    }
}
