//! Matrices of weights, and their products with a few rows.
//!
//! Every output is computed by the same operations in the same order, so a sequence's result doesn't depend
//! on its batch or on the number of threads.

mod bf16;
mod full;
pub(super) mod int8;

use rayon::prelude::*;

use super::precision::HostPrecision;
use crate::block::Activation;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::Tiles;
use crate::cpu::simd::{Cpu, gated};

/// Outputs whose weights lie together.
const PANEL: usize = 64;
/// Multiplications that are worth a second thread.
const MIN_PARALLEL: usize = 1 << 17;
/// Outputs whose copying is worth a second thread.
const MIN_COPIED: usize = 1 << 14;

/// Holds a matrix `[out, in]` in panels of [`PANEL`] outputs.
///
/// A product reads it from end to end and adds whole vectors of outputs. The last panel is padded with zeros.
#[derive(Debug)]
pub(super) struct Matrix {
    panels: Panels,
    out: usize,
    wide: usize,
}

/// Holds the weights of all panels.
#[derive(Debug)]
enum Panels {
    /// `[in, PANEL]` each.
    F32(Vec<f32>),
    /// `[in / 2, PANEL]` pairs each.
    Bf16(Vec<u32>),
    Int8(int8::Panels),
}

impl Matrix {
    /// Copies rows as checkpoints store them.
    pub(super) fn new(rows: &[f32], out: usize, wide: usize, precision: HostPrecision) -> Self {
        let panels = match precision {
            HostPrecision::F32 => Panels::F32(full::panels(rows, out, wide)),
            HostPrecision::Bf16 => Panels::Bf16(bf16::panels(rows, out, wide)),
            HostPrecision::Int8 => Panels::Int8(int8::Panels::new(rows, out, wide)),
        };
        Self { panels, out, wide }
    }

    /// Computes `x·Wᵀ`.
    ///
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(super) fn apply(&self, cpu: Cpu, x: &[f32]) -> Vec<f32> {
        let [y] = Self::apply_each([self], cpu, x);
        y
    }

    /// Computes `x·Wᵀ` of several matrices, whose panels are shared out among threads together.
    ///
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]` each
    pub(super) fn apply_each<const M: usize>(all: [&Self; M], cpu: Cpu, x: &[f32]) -> [Vec<f32>; M] {
        let wide = all[0].wide;
        assert!(all.iter().all(|matrix| matrix.wide == wide), "all are multiplied with the same rows");
        let n = x.len() / wide;
        if n == 0 {
            return all.map(|_| Vec::new());
        }
        let rows = Rows::new(cpu, x, wide, &all);
        let work: Vec<Panel<'_>> = all.iter().flat_map(|matrix| matrix.panels()).collect();
        let mut parts = product_per_panel(work, n * wide, |panel| {
            let mut y = vec![0.0; PANEL * n];
            panel.product(cpu, &rows, &mut y);
            y
        });
        all.map(|matrix| {
            let others = parts.split_off(matrix.out.div_ceil(PANEL));
            together(&std::mem::replace(&mut parts, others), matrix.out, n)
        })
    }

    /// Computes `activation(x·Gᵀ) ⊙ (x·Uᵀ)` for two matrices of the same shape.
    ///
    /// # Shapes
    /// - `x`: `[N, in]` → `[N, out]`
    pub(super) fn apply_gated(
        [gate, up]: [&Self; 2],
        activation: Activation,
        cpu: Cpu,
        x: &[f32],
    ) -> Vec<f32> {
        assert_eq!((gate.out, gate.wide), (up.out, up.wide), "a gate has as many outputs as what it gates");
        let n = x.len() / gate.wide;
        if n == 0 {
            return Vec::new();
        }
        let rows = Rows::new(cpu, x, gate.wide, &[gate, up]);
        let work: Vec<(Panel<'_>, Panel<'_>)> = gate.panels().zip(up.panels()).collect();
        let parts = product_per_panel(work, 2 * n * gate.wide, |(gate, up)| {
            let [mut y, mut ups] = [(); 2].map(|()| vec![0.0; PANEL * n]);
            gate.product(cpu, &rows, &mut y);
            up.product(cpu, &rows, &mut ups);
            gated(cpu, activation, &mut y, &ups);
            y
        });
        together(&parts, gate.out, n)
    }

    fn panels(&self) -> Box<dyn Iterator<Item = Panel<'_>> + '_> {
        match &self.panels {
            Panels::F32(panels) => Box::new(panels.chunks_exact(PANEL * self.wide).map(Panel::F32)),
            Panels::Bf16(panels) => {
                Box::new(panels.chunks_exact(PANEL * bf16::pairs(self.wide)).map(Panel::Bf16))
            }
            Panels::Int8(panels) => Box::new(panels.iter().map(Panel::Int8)),
        }
    }

    /// Returns row `at`, as products read it.
    pub(super) fn row(&self, at: usize) -> Vec<f32> {
        let (panel, column) = (at / PANEL * PANEL * self.wide, at % PANEL);
        match &self.panels {
            Panels::F32(panels) => {
                panels[panel + column..].iter().step_by(PANEL).take(self.wide).copied().collect()
            }
            Panels::Bf16(panels) => bf16::row(panels, at, self.wide),
            Panels::Int8(panels) => panels.row(at, self.wide),
        }
    }
}

/// Holds rows that are multiplied with weights.
struct Rows<'a> {
    /// `[N, wide]`.
    x: &'a [f32],
    wide: usize,
    /// The rows for weights in int8, if there are any.
    rounded: Option<int8::Rows>,
    /// The rows for weights in bf16, if there are any and the processor has tiles for them.
    #[cfg(target_arch = "x86_64")]
    split: Option<(Tiles, bf16::split::Rows)>,
}

impl<'a> Rows<'a> {
    fn new(cpu: Cpu, x: &'a [f32], wide: usize, matrices: &[&Matrix]) -> Self {
        let int8 = matrices.iter().any(|matrix| matches!(matrix.panels, Panels::Int8(_)));
        Self {
            x,
            wide,
            rounded: int8.then(|| int8::Rows::new(cpu, x, wide)),
            #[cfg(target_arch = "x86_64")]
            split: {
                let bf16 = matrices.iter().any(|matrix| matches!(matrix.panels, Panels::Bf16(_)));
                let tiles = cpu.tiles().filter(|_| bf16);
                tiles.map(|tiles| (tiles, bf16::split::Rows::new(cpu, x, wide)))
            },
        }
    }
}

/// Shows the weights of one panel.
enum Panel<'a> {
    F32(&'a [f32]),
    Bf16(&'a [u32]),
    Int8(int8::Panel<'a>),
}

impl Panel<'_> {
    /// Computes the panel's outputs for all rows, `[N, PANEL]`.
    fn product(&self, cpu: Cpu, rows: &Rows<'_>, y: &mut [f32]) {
        let (x, wide, rounded) = (rows.x, rows.wide, &rows.rounded);
        match self {
            Self::F32(w) => cpu.run(full::Product { w, x, y, wide }),
            Self::Bf16(w) => {
                #[cfg(target_arch = "x86_64")]
                if let Some((tiles, split)) = &rows.split {
                    return bf16::amx::product(*tiles, w, split, y);
                }
                cpu.run(bf16::Product { w, x, y, wide });
            }
            Self::Int8(panel) => panel.product(cpu, rounded.as_ref().expect("rows were rounded"), y),
        }
    }
}

/// Computes the product of every panel, on several threads if there is enough work.
///
/// - `each`: multiplications per output
fn product_per_panel<P: Send>(
    work: Vec<P>,
    each: usize,
    product: impl Fn(P) -> Vec<f32> + Send + Sync,
) -> Vec<Vec<f32>> {
    if rayon::current_num_threads() == 1 || work.len() * PANEL * each < MIN_PARALLEL {
        return work.into_iter().map(product).collect();
    }
    work.into_par_iter().map(product).collect()
}

/// Puts the outputs of panels, `[N, PANEL]` each, beside each other: `[N, out]`.
fn together(parts: &[Vec<f32>], out: usize, n: usize) -> Vec<f32> {
    if out * n < MIN_COPIED {
        let mut y = Vec::with_capacity(out * n);
        for row in 0..n {
            for (at, part) in parts.iter().enumerate() {
                y.extend_from_slice(&part[row * PANEL..][..PANEL.min(out - at * PANEL)]);
            }
        }
        return y;
    }
    let mut y = vec![0.0; out * n];
    y.par_chunks_exact_mut(out).enumerate().for_each(|(row, y)| {
        for (y, part) in y.chunks_mut(PANEL).zip(parts) {
            y.copy_from_slice(&part[row * PANEL..][..y.len()]);
        }
    });
    y
}

#[cfg(test)]
mod tests;
