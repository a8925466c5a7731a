//! Decimal numbers as text, exactly.

use serde_json::Value;

/// Returns a whole number with a point before its last `scale` digits.
pub(super) fn decimal(whole: i128, scale: u32) -> Value {
    let scale = scale as usize;
    let (sign, digits) = (if whole < 0 { "-" } else { "" }, whole.unsigned_abs().to_string());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (before, behind) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{before}{point}{behind}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_stands_before_the_last_digits() {
        for (whole, scale, expect) in
            [(1250, 2, "12.50"), (-5, 2, "-0.05"), (7, 0, "7"), (0, 1, "0.0"), (-100, 2, "-1.00")]
        {
            assert_eq!(decimal(whole, scale), expect);
        }
    }
}
