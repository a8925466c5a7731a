//! Means and standard deviations.

/// Returns the mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Returns the standard deviation with `n - 1`; 0 of fewer than two.
pub fn std_dev(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_has_a_mean_and_a_deviation_of_0() {
        assert_eq!((mean(&[]), std_dev(&[3.0])), (0.0, 0.0));
        assert_eq!((mean(&[1.0, 3.0]), std_dev(&[1.0, 3.0])), (2.0, 2.0_f64.sqrt()));
    }
}
