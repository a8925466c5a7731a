use super::super::tests::numbers;
use super::*;

#[test]
fn every_processor_has_the_same_sums() {
    for (out, wide) in [(64, 32), (70, 200), (130, 5), (64, 1536)] {
        let panels = Panels::new(&numbers(out * wide, 1), out, wide);
        for n in 1..=9 {
            let x = numbers(n * wide, 2);
            let product = |cpu: Cpu| -> Vec<f32> {
                let x = Rows::new(cpu, &x, wide);
                let each = panels.iter().map(|panel| {
                    let mut y = vec![f32::NAN; n * PANEL];
                    panel.product(cpu, &x, &mut y);
                    y
                });
                each.collect::<Vec<_>>().concat()
            };
            let best = product(Cpu::detect());
            for cpu in Cpu::each() {
                assert_eq!(product(cpu), best, "{out}×{wide}, {n} rows on {cpu:?}");
            }
        }
    }
}

/// The largest sums: all numbers have the largest size.
#[test]
fn no_sum_is_too_large_for_its_integer() {
    let wide = 2 * BLOCK;
    let weights: Vec<f32> =
        (0..PANEL * wide).map(|at| if (at / wide).is_multiple_of(2) { 1.0 } else { -1.0 }).collect();
    let panels = Panels::new(&weights, PANEL, wide);
    for cpu in Cpu::each() {
        for sign in [1.0, -1.0] {
            let rows = Rows::new(cpu, &vec![sign; wide], wide);
            let mut y = vec![0.0; PANEL];
            panels.iter().next().expect("a panel").product(cpu, &rows, &mut y);
            for (at, y) in y.iter().enumerate() {
                let exact = if at % 2 == 0 { sign } else { -sign } * wide as f32;
                assert!((y / exact - 1.0).abs() < 1e-6, "{y}, not {exact} on {cpu:?}");
            }
        }
    }
}
