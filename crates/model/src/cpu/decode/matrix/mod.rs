//! Matrices of weights, and their products with a few rows.
//!
//! Every output is computed by the same operations in the same order, so a sequence's result doesn't depend
//! on its batch or on the number of threads.

mod bf16;
mod full;
pub(super) mod int8;

use rayon::prelude::*;

use super::precision::HostPrecision;
use crate::cpu::simd::Cpu;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::Tiles;

/// Outputs whose weights lie together.
const PANEL: usize = 64;
/// Multiplications below which a second thread costs more than it saves.
const ALONE: usize = 1 << 17;

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
        // `[out / PANEL, N, PANEL]` each, so that every panel writes one contiguous piece.
        let mut parts = all.map(|matrix| vec![0.0; matrix.out.next_multiple_of(PANEL) * n]);
        let multiplications = parts.iter().map(Vec::len).sum::<usize>() * wide;
        let work = all
            .iter()
            .zip(&mut parts)
            .flat_map(|(matrix, parts)| matrix.panels().zip(parts.chunks_exact_mut(PANEL * n)));
        if rayon::current_num_threads() == 1 || multiplications < ALONE {
            work.for_each(|(panel, y)| panel.product(cpu, &rows, y));
        } else {
            let work: Vec<_> = work.collect();
            work.into_par_iter().for_each(|(panel, y)| panel.product(cpu, &rows, y));
        }
        let mut parts = parts.into_iter();
        all.map(|matrix| together(parts.next().expect("one for each matrix"), matrix.out, n))
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

/// Puts the outputs of panels beside each other: `[out / PANEL, N, PANEL]` → `[N, out]`.
fn together(mut parts: Vec<f32>, out: usize, n: usize) -> Vec<f32> {
    if n == 1 {
        parts.truncate(out);
        return parts;
    }
    let mut y = Vec::with_capacity(out * n);
    for row in 0..n {
        for (at, part) in parts.chunks_exact(PANEL * n).enumerate() {
            y.extend_from_slice(&part[row * PANEL..][..PANEL.min(out - at * PANEL)]);
        }
    }
    y
}

#[cfg(test)]
mod tests;
