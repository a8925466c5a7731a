use half::bf16;

use super::*;

const EACH: [HostPrecision; 3] = [HostPrecision::F32, HostPrecision::Bf16, HostPrecision::Int8];

/// Shapes with whole and broken panels, blocks and pairs.
const SHAPES: [(usize, usize); 6] = [(1, 1), (4, 16), (7, 33), (130, 48), (64, 5), (70, 200)];

pub(super) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

#[test]
fn products_are_those_of_the_textbook_and_do_not_depend_on_company() {
    for ((out, wide), precision) in SHAPES.into_iter().flat_map(|shape| EACH.map(|each| (shape, each))) {
        let weights = numbers(out * wide, 1);
        let matrix = Matrix::new(&weights, out, wide, precision);
        let x = numbers(13 * wide, 2);
        let together = matrix.apply(Cpu::detect(), &x);
        // Rounding of weights and of what they are multiplied with, as a share of the largest number.
        let rounding = match precision {
            HostPrecision::F32 => 0.0,
            HostPrecision::Bf16 => 1.0 / 256.0,
            HostPrecision::Int8 => 1.0 / 127.0,
        };
        for (row, x) in x.chunks_exact(wide).enumerate() {
            assert_eq!(together[row * out..][..out], matrix.apply(Cpu::detect(), x), "row {row} alone");
            for at in 0..out {
                let exact: f64 =
                    weights[at * wide..].iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let diff = (f64::from(together[row * out + at]) - exact).abs();
                let bound = (1e-5 + rounding) * wide as f64;
                assert!(diff <= bound, "{out}×{wide} {precision:?}, row {row}, output {at}: off by {diff}");
            }
        }
    }
}

#[test]
fn rows_are_those_that_were_copied_up_to_rounding() {
    for (out, wide) in SHAPES {
        let weights = numbers(out * wide, 1);
        for precision in EACH {
            let matrix = Matrix::new(&weights, out, wide, precision);
            for (at, row) in weights.chunks_exact(wide).enumerate() {
                let found = matrix.row(at);
                assert_eq!(found.len(), wide);
                for (block, found) in row.chunks(int8::BLOCK).zip(found.chunks(int8::BLOCK)) {
                    let most = block.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
                    for (weight, found) in block.iter().zip(found) {
                        let exact = match precision {
                            HostPrecision::F32 => *weight,
                            HostPrecision::Bf16 => bf16::from_f32(*weight).to_f32(),
                            HostPrecision::Int8 => {
                                let diff = (found - weight).abs();
                                assert!(diff <= most / 250.0, "row {at}: {found}, not {weight}");
                                *found
                            }
                        };
                        assert_eq!(*found, exact, "row {at} {precision:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn bf16_is_f32_with_rounded_weights_but_for_the_inputs_of_tiles() {
    for (out, wide) in SHAPES {
        let weights = numbers(out * wide, 5);
        let rounded: Vec<f32> = weights.iter().map(|w| bf16::from_f32(*w).to_f32()).collect();
        let full = Matrix::new(&rounded, out, wide, HostPrecision::F32);
        let half = Matrix::new(&weights, out, wide, HostPrecision::Bf16);
        let x = numbers(13 * wide, 6);
        for cpu in Cpu::each() {
            let (found, exact) = (half.apply(cpu, &x), full.apply(cpu, &x));
            if !splits(cpu) {
                assert_eq!(found, exact, "{out}×{wide} on {cpu:?}");
            }
            // Inputs of tiles are off by 2⁻¹⁶, and sums are rounded in another order.
            for (found, exact) in found.iter().zip(exact) {
                assert!((found - exact).abs() <= wide as f32 / 50_000.0, "{out}×{wide}: {found}, {exact}");
            }
        }
    }
}

/// Returns whether inputs of products with bf16 are split.
fn splits(cpu: Cpu) -> bool {
    #[cfg(target_arch = "x86_64")]
    return cpu.tiles().is_some();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn threads_do_not_change_a_product() {
    for precision in EACH {
        let matrix = Matrix::new(&numbers(1000 * 300, 3), 1000, 300, precision);
        let x = numbers(7 * 300, 4);
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| matrix.apply(Cpu::detect(), &x))
        };
        assert_eq!(of(1), of(3));
    }
}

#[test]
fn a_number_that_is_none_stays_visible() {
    for precision in EACH {
        let mut weights = numbers(70 * 40, 3);
        weights[65 * 40 + 39] = f32::NAN;
        let matrix = Matrix::new(&weights, 70, 40, precision);
        let y = matrix.apply(Cpu::detect(), &numbers(40, 4));
        assert!(y[65].is_nan() && y.iter().filter(|y| y.is_nan()).count() == 1, "{precision:?}");
        let mut x = numbers(40, 4);
        x[3] = f32::INFINITY;
        assert!(matrix.apply(Cpu::detect(), &x).iter().all(|y| !y.is_finite()), "{precision:?}");
    }
}
