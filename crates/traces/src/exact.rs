//! The columns of a call that training needs: prompt, sampled tokens, log-probabilities.

use turnwise_trajectory::TokenId;

use crate::error::Wrong;

/// A log-probability this far above 0 is 0 by rounding.
const ROUNDING: f32 = 1e-4;

/// Holds the columns of a call, if its document has them.
pub(crate) struct Columns {
    /// The prompt.
    pub(crate) prompt: Option<Vec<TokenId>>,
    /// The sampled tokens.
    pub(crate) sampled: Option<Vec<TokenId>>,
    /// Their log-probabilities.
    pub(crate) logprobs: Option<Vec<f32>>,
}

/// Holds the columns of a call that has all of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exact {
    /// The prompt, of at least one token.
    pub(crate) prompt: Vec<TokenId>,
    /// The sampled tokens.
    pub(crate) sampled: Vec<TokenId>,
    /// One log-probability per sampled token.
    pub(crate) logprobs: Vec<f32>,
}

impl Columns {
    /// Checks the columns. A log-probability that rounding puts above 0 becomes 0.
    ///
    /// `at` is the path of their object, and `keys` are their names in it.
    pub(crate) fn exact(self, at: &str, keys: [&str; 3]) -> Result<Exact, Wrong> {
        let [prompt, sampled, logprobs] = keys;
        let absent = |key: &str, what: &str| {
            let hint = "hint: record with \"return_token_ids\": true and \"logprobs\": true; text isn't \
                        tokenised again";
            Wrong::at(format!("{at}.{key}"), format!("is missing, and {what}\n  {hint}"))
        };
        let mut exact = Exact {
            prompt: self
                .prompt
                .ok_or_else(|| absent(prompt, "training needs the exact tokens of the prompt"))?,
            sampled: self
                .sampled
                .ok_or_else(|| absent(sampled, "training needs the exact tokens that were sampled"))?,
            logprobs: self.logprobs.ok_or_else(|| {
                absent(logprobs, "training needs the log-probability of every sampled token")
            })?,
        };
        if exact.prompt.is_empty() {
            return Err(Wrong::at(format!("{at}.{prompt}"), "is empty, and a call reads at least one token"));
        }
        if exact.logprobs.len() != exact.sampled.len() {
            let (given, tokens) = (exact.logprobs.len(), exact.sampled.len());
            let message = format!("has {given} log-probabilities for the {tokens} tokens of `{sampled}`");
            return Err(Wrong::at(format!("{at}.{logprobs}"), message));
        }
        let is_one = |logprob: &&f32| logprob.is_finite() && **logprob <= ROUNDING;
        if let Some(place) = exact.logprobs.iter().position(|logprob| !is_one(&logprob)) {
            let message = format!("{} isn't a log-probability, which is at most 0", exact.logprobs[place]);
            return Err(Wrong::at(format!("{at}.{logprobs}[{place}]"), message));
        }
        exact.logprobs.iter_mut().for_each(|logprob| *logprob = logprob.min(0.0));
        Ok(exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_whole_or_the_key_says_what_lacks() {
        let check = |prompt: Option<&[u32]>,
                     sampled: Option<&[u32]>,
                     logprobs: Option<&[f32]>,
                     expect: &str| {
            let columns = Columns {
                prompt: prompt.map(<[u32]>::to_vec),
                sampled: sampled.map(<[u32]>::to_vec),
                logprobs: logprobs.map(<[f32]>::to_vec),
            };
            let found = columns.exact("turns[2]", ["p", "s", "l"]);
            let found = found.map_or_else(|wrong| wrong.to_string(), |_| String::new());
            assert!(found.starts_with(expect) && found.is_empty() == expect.is_empty(), "{found}\n{expect}");
        };
        check(Some(&[1]), Some(&[2, 3]), Some(&[-0.5, 1e-7]), "");
        check(Some(&[1]), Some(&[]), Some(&[]), "");
        check(None, Some(&[2]), Some(&[-0.5]), "turns[2].p: is missing");
        check(Some(&[1]), None, Some(&[-0.5]), "turns[2].s: is missing");
        check(Some(&[1]), Some(&[2]), None, "turns[2].l: is missing");
        check(Some(&[]), Some(&[2]), Some(&[-0.5]), "turns[2].p: is empty");
        check(
            Some(&[1]),
            Some(&[2, 3]),
            Some(&[-0.5]),
            "turns[2].l: has 1 log-probabilities for the 2 tokens",
        );
        check(Some(&[1]), Some(&[2, 3]), Some(&[-0.5, 0.5]), "turns[2].l[1]: 0.5 isn't a log-probability");
        check(Some(&[1]), Some(&[2]), Some(&[f32::INFINITY]), "turns[2].l[0]: inf isn't");
    }
}
