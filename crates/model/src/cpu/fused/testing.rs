//! Compares an operation with its formula in f64, and its gradients with finite differences of the formula.

use super::host_op::HostOp;

/// Returns numbers between -1 and 1 from a seed.
pub(super) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Fails unless the output is the formula's and every gradient its central difference.
pub(super) fn check<O: HostOp<N>, const N: usize>(
    op: &O,
    inputs: &[Vec<f32>; N],
    formula: impl Fn(&[Vec<f64>; N]) -> Vec<f64>,
) {
    let slices = inputs.each_ref().map(Vec::as_slice);
    let mut exact = inputs.each_ref().map(|input| input.iter().copied().map(f64::from).collect::<Vec<_>>());
    let (output, saved) = op.forward(slices);
    let expected = formula(&exact);
    assert_eq!(output.len(), expected.len());
    for (at, (got, expected)) in output.iter().zip(&expected).enumerate() {
        assert!((f64::from(*got) - expected).abs() < 2e-5, "output {at}: {got}, not {expected}");
    }
    let grad = numbers(output.len(), 99);
    let loss = |exact: &[Vec<f64>; N]| -> f64 {
        formula(exact).iter().zip(&grad).map(|(y, grad)| y * f64::from(*grad)).sum()
    };
    let grads = op.backward(slices, &saved, &grad);
    for (input, grads) in grads.iter().enumerate() {
        assert_eq!(grads.len(), inputs[input].len());
        // About a hundred entries are enough.
        let step = (grads.len() / 97).max(1);
        for (at, got) in grads.iter().enumerate().step_by(step) {
            let by = 1e-5;
            let mut moved = |by: f64| {
                exact[input][at] += by;
                let loss = loss(&exact);
                exact[input][at] -= by;
                loss
            };
            let expected = (moved(by) - moved(-by)) / (2.0 * by);
            assert!(
                (f64::from(*got) - expected).abs() < 5e-5 * (1.0 + expected.abs()),
                "grad {at} of input {input}: {got}, not {expected}"
            );
        }
    }
}
