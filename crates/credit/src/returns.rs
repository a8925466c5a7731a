//! Discounted returns of turns.

/// Returns `R_ij = Σ_{k=j..T_i} γ^(k-j) · r_ik` for each turn (arXiv:2511.14846). γ counts turns, not tokens.
///
/// ```
/// let returns = turnwise_credit::discounted_returns(&[0.0, -0.1, 1.0], 0.9);
/// assert_eq!(returns, [0.9 * (-0.1 + 0.9), -0.1 + 0.9, 1.0]);
/// ```
pub fn discounted_returns(rewards: &[f64], gamma: f64) -> Vec<f64> {
    let mut returns = rewards.to_vec();
    for j in (1..returns.len()).rev() {
        returns[j - 1] += gamma * returns[j];
    }
    returns
}
