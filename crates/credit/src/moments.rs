//! Mean and standard deviation in f64, and the z-score that every normalising estimator shares.

/// Holds the settings of a z-score: `(x - μ) / (max(σ, std_floor) + eps)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ZScore {
    /// Delta degrees of freedom of σ: 0 or 1.
    pub(crate) ddof: u8,
    /// Added to σ.
    pub(crate) eps: f64,
    /// Lower bound of σ. It bounds the advantage of a lone outlier in an otherwise uniform group.
    pub(crate) std_floor: f64,
}

impl ZScore {
    /// Returns the map from a value to its z-score among `values`.
    ///
    /// The z-score is 0 if there are fewer than two values or if they do not differ beyond rounding: a group
    /// without a signal must not move the policy. The result is never NaN and never infinite.
    pub(crate) fn among(self, values: &[f64]) -> impl Fn(f64) -> f64 + use<> {
        let (mean, scale) = self.moments(values);
        move |value| finite((value - mean) / scale)
    }

    /// Returns μ and the divisor of z-scores, `max(σ, std_floor) + eps`; an infinite one without a signal.
    pub(crate) fn moments(self, values: &[f64]) -> (f64, f64) {
        let (mean, std) = (mean(values), std(values, self.ddof));
        (mean, if std > 0.0 { std.max(self.std_floor) + self.eps } else { f64::INFINITY })
    }
}

/// Declares the settings of an estimator that takes z-scores: its own keys with their defaults, then those of
/// [`ZScore`].
///
/// All of them are keys of one table, and an unknown key is refused with its line: serde's `flatten` would
/// lose that.
macro_rules! z_scored {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident: $kind:ty = $default:expr, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $kind, )*
            /// Delta degrees of freedom of σ: 0 or 1.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1>::read")]
            pub ddof: u8,
            /// ε, added to σ.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
            pub eps: f64,
            /// Lower bound of σ; 0 is the paper's formula.
            #[serde(deserialize_with = "turnwise_runfile::Within::<0, 1_000>::read")]
            pub std_floor: f64,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* ddof: 1, eps: 1e-6, std_floor: 0.0 }
            }
        }

        impl $name {
            fn z_score(&self) -> $crate::moments::ZScore {
                $crate::moments::ZScore { ddof: self.ddof, eps: self.eps, std_floor: self.std_floor }
            }
        }
    };
}

pub(crate) use z_scored;

/// Returns `value`, or 0 if it is not finite (rewards so large that their squares overflow).
pub(crate) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// Returns the arithmetic mean; 0 without values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let n = values.len() as f64;
    let rough = values.iter().sum::<f64>() / n;
    // A second pass removes the rounding of the first, so the mean of equal values is exactly their value.
    rough + values.iter().map(|v| v - rough).sum::<f64>() / n
}

/// Returns the standard deviation from centred sums; 0 for fewer than two values or values that are equal up
/// to rounding.
pub(crate) fn std(values: &[f64], ddof: u8) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let std = (squares / (values.len() - usize::from(ddof)) as f64).sqrt();
    let magnitude = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if std > 8.0 * f64::EPSILON * magnitude { std } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], ddof: u8, expect_mean: f64, expect_std: f64) {
        assert!((mean(values) - expect_mean).abs() < 1e-12, "mean of {values:?}");
        assert!((std(values, ddof) - expect_std).abs() < 1e-12, "std of {values:?}");
    }

    #[test]
    fn moments_of_small_sets() {
        check(&[], 1, 0.0, 0.0);
        check(&[3.0], 0, 3.0, 0.0);
        check(&[1.0, 0.0], 1, 0.5, 0.5_f64.sqrt());
        check(&[1.0, 0.0], 0, 0.5, 0.5);
        check(&[1e8 + 1.0, 1e8, 1e8 - 1.0], 1, 1e8, 1.0);
    }

    #[test]
    fn equal_values_score_exactly_zero_also_without_eps() {
        let z = ZScore { ddof: 1, eps: 0.0, std_floor: 0.0 };
        for value in [0.1, 0.3, -0.1, 1e300, f64::MIN_POSITIVE] {
            for n in [1, 2, 3, 7, 10] {
                assert_eq!(z.among(&vec![value; n])(value), 0.0, "{n} times {value}");
            }
        }
    }

    #[test]
    fn values_that_overflow_give_no_nan() {
        let values = [1e308, -1e308, 1e308];
        let z = ZScore { ddof: 1, eps: 1e-6, std_floor: 0.0 }.among(&values);
        assert!(values.iter().all(|v| z(*v).is_finite()));
    }
}
