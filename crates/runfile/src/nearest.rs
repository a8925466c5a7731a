//! Finds the known word nearest to a mistyped one.

/// Returns the nearest of `known`, if it is near enough for a typing error. Either few letters differ, or one
/// of the two abbreviates the other (`lr`, `learning_rate`).
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = |candidate: &&str| {
        let slips = 1 + word.len().min(candidate.len()) / 4;
        distance(word, candidate) <= slips || abbreviates(candidate, word) || abbreviates(word, candidate)
    };
    known.into_iter().filter(close).min_by_key(|candidate| distance(word, candidate))
}

/// Returns whether `short` holds the first letter of each part of `long`.
fn abbreviates(short: &str, long: &str) -> bool {
    let initials: String = long.split('_').filter_map(|part| part.chars().next()).collect();
    initials.len() > 1 && initials == short
}

/// Counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(swap)
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_abbreviations_find_their_key() {
        let known = ["lr", "warmup", "weight_decay", "clip_norm", "micro_batch_tokens", "gtpo", "grpo"];
        let check = |word, expect| assert_eq!(nearest(word, known), expect, "{word}");
        check("lerning_rate", Some("lr"));
        check("wramup", Some("warmup"));
        check("weigth_decay", Some("weight_decay"));
        check("clip_grad_norm", None);
        check("gtop", Some("gtpo"));
        check("gpo", Some("gtpo"));
        check("seed", None);
        check("", None);
    }

    #[test]
    fn distance_counts_slips() {
        for (a, b, expect) in
            [("", "ab", 2), ("ab", "ab", 0), ("ab", "ba", 1), ("kitten", "sitting", 3), ("é", "e", 1)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (expect, expect), "{a} {b}");
        }
    }
}
