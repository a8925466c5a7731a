//! Searches facts by shared words. Rare words count more.

use std::collections::{BTreeSet, HashMap};

/// Indexes facts by their words.
pub(super) struct Search {
    facts: Vec<String>,
    /// Facts that hold a word, in order.
    places: HashMap<String, Vec<usize>>,
}

/// Words too frequent to tell facts apart.
const STOP_WORDS: [&str; 24] = [
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "and", "or", "is", "are", "was", "were", "be",
    "do", "does", "did", "has", "have", "by", "with", "it",
];

impl Search {
    /// Indexes the facts. Equal ones count once.
    pub(super) fn new(facts: impl IntoIterator<Item = String>) -> Self {
        let mut seen = std::collections::HashSet::new();
        let facts: Vec<String> = facts.into_iter().filter(|fact| seen.insert(fact.clone())).collect();
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, fact) in facts.iter().enumerate() {
            for word in words(fact) {
                places.entry(word).or_default().push(at);
            }
        }
        Self { facts, places }
    }

    /// Returns up to `max` facts, best first: those whose shared words have the highest sum of `ln(1 +
    /// N/n)`, where `n` of `N` facts hold the word. Ties go to the earlier fact.
    pub(super) fn best(&self, query: &str, max: usize) -> Vec<&str> {
        let mut scores: HashMap<usize, f64> = HashMap::new();
        // Sorted, because the order changes a sum of floats.
        for places in words(query).iter().filter_map(|word| self.places.get(word)) {
            let weight = (1.0 + self.facts.len() as f64 / places.len() as f64).ln();
            for at in places {
                *scores.entry(*at).or_default() += weight;
            }
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.iter().take(max).map(|(at, _)| self.facts[*at].as_str()).collect()
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(word))
        .map(str::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_count_more_and_ties_go_to_the_earlier_fact() {
        let facts = ["Cats eat fish.", "Dogs eat meat.", "Birds eat seeds.", "Fish swim.", "Cats eat fish."];
        let search = Search::new(facts.map(String::from));
        for (query, expect) in [
            ("what do DOGS eat?", &["Dogs eat meat.", "Cats eat fish."][..]),
            ("fish", &["Cats eat fish.", "Fish swim."]),
            ("eat", &["Cats eat fish.", "Dogs eat meat."]),
            ("the of in", &[]),
            ("unicorns", &[]),
            ("", &[]),
        ] {
            assert_eq!(search.best(query, 2), expect, "{query}");
        }
    }
}
