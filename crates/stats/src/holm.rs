//! Applies Holm's step-down correction (Holm 1979): one error rate for several comparisons together.

/// Returns adjusted p-values, in the order given: reject where one is below the level.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, at) in order.into_iter().enumerate() {
        largest = largest.max(p_values[at] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_pays_for_all_and_order_is_kept() {
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expect) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expect).abs() < 1e-15, "{found} {expect}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
