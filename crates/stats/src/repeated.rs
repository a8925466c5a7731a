//! Success of a model that may try several times, from `n ≥ k` samples per task. Both measures are averages
//! over all subsets of `k` samples, so they don't depend on the samples' order.

/// Returns the chance that at least one of `k` samples is right, if `right` of `samples` were:
///
/// ```text
/// pass@k = 1 - C(n-c, k) / C(n, k)          unbiased (arXiv:2107.03374, eq. 1)
/// ```
///
/// # Panics
/// If `k` is 0 or above `samples`, or `right` is above `samples`.
pub fn pass_at_k(samples: usize, right: usize, k: usize) -> f64 {
    check(samples, right, k);
    if samples - right < k {
        return 1.0;
    }
    // C(n-c, k) / C(n, k) as a product of factors at most 1.
    1.0 - (samples - right + 1..=samples).map(|i| 1.0 - k as f64 / i as f64).product::<f64>()
}

/// Returns the chance that the most frequent answer of `k` samples is right (self-consistency,
/// arXiv:2203.11171). A tie is drawn by lot. `right` samples have the right answer, and `wrong` holds the
/// number of samples of each wrong one. The rest of `samples` gave no answer and don't vote. Without a vote
/// the answer is wrong.
///
/// Exact: subsets are counted, not drawn.
///
/// # Panics
/// If `k` is 0 or above `samples`, or more answers are counted than there are samples.
pub fn majority_at_k(samples: usize, right: usize, wrong: &[usize], k: usize) -> f64 {
    let voting = right + wrong.iter().sum::<usize>();
    check(samples, voting, k);
    let silent = samples - voting;
    let choose = Choose::up_to(samples);
    let mut chance = 0.0;
    for votes in 1..=right.min(k) {
        // ways[t][j]: subsets of j samples of the others, t wrong answers level with the right one, none
        // above it.
        let mut ways = vec![vec![0.0; k - votes + 1]; wrong.len() + 1];
        for (j, way) in ways[0].iter_mut().enumerate() {
            *way = choose.of(silent, j);
        }
        for (seen, &count) in wrong.iter().enumerate() {
            // From many to few: each entry is read before it is written.
            for t in (0..=seen + 1).rev() {
                for j in (0..=k - votes).rev() {
                    let fewer =
                        (0..votes.min(j + 1)).map(|x| choose.of(count, x) * ways[t][j - x]).sum::<f64>();
                    let level = if t > 0 && j >= votes {
                        choose.of(count, votes) * ways[t - 1][j - votes]
                    } else {
                        0.0
                    };
                    ways[t][j] = fewer + level;
                }
            }
        }
        let of_votes: f64 = ways.iter().enumerate().map(|(t, ways)| ways[k - votes] / (t + 1) as f64).sum();
        chance += choose.of(right, votes) * of_votes;
    }
    chance / choose.of(samples, k)
}

fn check(samples: usize, counted: usize, k: usize) {
    assert!(k >= 1 && k <= samples, "k is between 1 and the number of samples ({samples}), not {k}");
    assert!(counted <= samples, "{counted} of {samples} samples can't be");
}

/// Binomial coefficients in floating point.
struct Choose(Vec<Vec<f64>>);

impl Choose {
    fn up_to(n: usize) -> Self {
        let mut rows = vec![vec![1.0]];
        for i in 1..=n {
            let above = &rows[i - 1];
            let row = (0..=i).map(|j| if j == 0 || j == i { 1.0 } else { above[j - 1] + above[j] }).collect();
            rows.push(row);
        }
        Self(rows)
    }

    fn of(&self, n: usize, k: usize) -> f64 {
        self.0[n].get(k).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns every subset of `k` samples, one by one. Answer 0 is right, `None` no vote.
    fn counted(answers: &[Option<usize>], k: usize) -> (f64, f64) {
        let (mut subsets, mut pass, mut majority) = (0.0, 0.0, 0.0);
        for mask in 0..1_u32 << answers.len() {
            if mask.count_ones() as usize != k {
                continue;
            }
            let mut votes = [0; 8];
            let taken = (0..answers.len()).filter(|i| mask >> i & 1 == 1).filter_map(|i| answers[i]);
            taken.for_each(|answer| votes[answer] += 1);
            let most = *votes.iter().max().unwrap();
            subsets += 1.0;
            pass += f64::from(u8::from(votes[0] > 0));
            if most > 0 && votes[0] == most {
                majority += 1.0 / votes.iter().filter(|&&v| v == most).count() as f64;
            }
        }
        (pass / subsets, majority / subsets)
    }

    #[test]
    fn both_equal_the_count_over_all_subsets() {
        let a = Some;
        for answers in [
            vec![a(0), a(0), a(1), a(1), a(2), None],
            vec![a(0), a(1), a(2), a(3), a(3), a(3), a(0)],
            vec![None, None, None],
            vec![a(0); 5],
            vec![a(1), a(1), a(2), None],
            vec![a(0), a(0), a(0), a(1), a(1), a(1), a(2), a(2), a(2), None],
        ] {
            let count = |answer| answers.iter().filter(|&&given| given == Some(answer)).count();
            let wrong: Vec<usize> = (1..8).map(count).filter(|&count| count > 0).collect();
            for k in 1..=answers.len() {
                let (pass, majority) = counted(&answers, k);
                assert!((pass_at_k(answers.len(), count(0), k) - pass).abs() < 1e-12, "{answers:?} {k}");
                let found = majority_at_k(answers.len(), count(0), &wrong, k);
                assert!((found - majority).abs() < 1e-12, "{answers:?} {k}: {found} {majority}");
            }
        }
    }

    #[test]
    fn one_try_is_the_mean_and_many_samples_are_quick() {
        assert!((pass_at_k(8, 3, 1) - 0.375).abs() < 1e-15);
        assert!((majority_at_k(8, 3, &[5], 1) - 0.375).abs() < 1e-15);
        assert!((pass_at_k(200, 1, 100) - 0.5).abs() < 1e-12);
        assert!(majority_at_k(64, 20, &[1; 44], 64) > 0.999_999);
    }

    #[test]
    #[should_panic(expected = "k is between 1 and the number of samples (4), not 5")]
    fn more_tries_than_samples_are_not_made_up() {
        pass_at_k(4, 1, 5);
    }
}
