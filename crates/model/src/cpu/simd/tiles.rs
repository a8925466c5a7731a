//! The tiles of AMX: registers of 16 rows of 64 bytes, and products of two of them.
//!
//! Rust's own names for these instructions aren't stable, so this file writes them.
#![allow(unsafe_code, reason = "one block of instructions, whose memory is checked before it")]

use std::arch::asm;
use std::sync::OnceLock;

/// Rows of a tile.
pub(crate) const TILE_ROWS: usize = 16;
/// Numbers in bf16 of a row of a tile.
const COLUMNS: usize = 32;
/// Outputs beside each other, in four tiles.
const OUTPUTS: usize = 64;

/// Bytes from a step to those that it prefetches. Loads of tiles wait for each line in turn, from the second
/// cache too, and without this a step takes up to three times as long.
const AHEAD: usize = 8192;

/// Prefetches eight of a step's 64 lines of memory.
///
/// All at once would fill the queue of loads, so some stand between any two products.
macro_rules! ask {
    ($group:literal) => {
        concat!(
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            "]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 64]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 128]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 192]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 256]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 320]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 384]\n",
            "prefetcht0 [{ahead} + 512 * ",
            $group,
            " + 448]",
        )
    };
}

/// Shows that the processor multiplies tiles of bf16, and that this process may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiles(());

impl Tiles {
    /// Returns the permission, if processor and system give it.
    pub(crate) fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND.get_or_init(|| has_tiles() && asked()).then_some(Self(()))
    }

    /// Computes the outputs of up to 16 rows.
    pub(crate) fn multiply(_: Self, walk: Walk<'_>) {
        let rows = walk.checked_rows();
        let Walk { high, low, weights, steps, out } = walk;
        let shape = Shape::of(rows);
        // SAFETY: a `Tiles` exists only where these instructions do. They read `steps` pieces of 64 bytes
        // from each row of `high` and `low`, `steps` pieces of 16 rows of 256 bytes from `weights`, and write
        // `rows` rows of 256 bytes to `out`, which are the lengths above. Prefetches may name any address.
        // The registers of tiles are used nowhere else.
        unsafe {
            asm!(
                "ldtilecfg [{shape}]",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{high} + {row}*1]",
                "tileloadd tmm5, [{low} + {row}*1]",
                "tileloadd tmm6, [{weights} + {line}*1]",
                ask!("0"),
                "tileloadd tmm7, [{weights} + {line}*1 + 64]",
                ask!("1"),
                "tdpbf16ps tmm0, tmm4, tmm6",
                ask!("2"),
                "tdpbf16ps tmm1, tmm4, tmm7",
                ask!("3"),
                "tdpbf16ps tmm0, tmm5, tmm6",
                "tdpbf16ps tmm1, tmm5, tmm7",
                "tileloadd tmm6, [{weights} + {line}*1 + 128]",
                ask!("4"),
                "tileloadd tmm7, [{weights} + {line}*1 + 192]",
                ask!("5"),
                "tdpbf16ps tmm2, tmm4, tmm6",
                ask!("6"),
                "tdpbf16ps tmm3, tmm4, tmm7",
                ask!("7"),
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {high}, 64",
                "add {low}, 64",
                "add {weights}, 4096",
                "add {ahead}, 4096",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {line}*1], tmm0",
                "tilestored [{out} + {line}*1 + 64], tmm1",
                "tilestored [{out} + {line}*1 + 128], tmm2",
                "tilestored [{out} + {line}*1 + 192], tmm3",
                "tilerelease",
                shape = in(reg) &raw const shape,
                high = inout(reg) high.as_ptr() => _,
                low = inout(reg) low.as_ptr() => _,
                weights = inout(reg) weights.as_ptr() => _,
                ahead = inout(reg) weights.as_ptr().cast::<u8>().wrapping_add(AHEAD) => _,
                steps = inout(reg) steps => _,
                row = in(reg) steps * COLUMNS * size_of::<u16>(),
                line = in(reg) OUTPUTS * size_of::<f32>(),
                out = in(reg) out.as_mut_ptr(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// Names what a product reads and writes: rows as two parts, and the weights of 64 outputs.
pub(crate) struct Walk<'a> {
    /// `[rows, steps · 32]` in bf16.
    pub(crate) high: &'a [u16],
    /// The same, what `high` lacks.
    pub(crate) low: &'a [u16],
    /// `[steps · 16, 64]` pairs of neighbours in bf16, the first in the lower half.
    pub(crate) weights: &'a [u32],
    /// Steps of 32 inputs, at least one.
    pub(crate) steps: usize,
    /// `[rows, 64]`.
    pub(crate) out: &'a mut [f32],
}

impl Walk<'_> {
    /// Returns the number of rows.
    ///
    /// # Panics
    /// If a slice has another length than it says above.
    fn checked_rows(&self) -> usize {
        let rows = self.out.len() / OUTPUTS;
        assert!((1..=TILE_ROWS).contains(&rows), "a tile has 16 rows");
        let lengths = [self.high.len(), self.low.len()];
        assert_eq!(lengths, [rows * self.steps * COLUMNS; 2], "rows have whole steps");
        assert_eq!(self.weights.len(), self.steps * COLUMNS / 2 * OUTPUTS, "weights have whole steps");
        rows
    }
}

/// Tells the processor the shapes of the tiles: sums and inputs have as many rows as there are, weights 16.
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

impl Shape {
    fn of(rows: usize) -> Self {
        let (some, all) = (rows as u8, TILE_ROWS as u8);
        let mut shape =
            Self { palette: 1, start: 0, reserved: [0; 14], bytes_per_row: [0; 16], rows: [0; 16] };
        shape.bytes_per_row[..8].fill(64);
        shape.rows[..8].copy_from_slice(&[some, some, some, some, some, some, all, all]);
        shape
    }
}

/// Returns whether the processor has tiles of bf16.
fn has_tiles() -> bool {
    const LEAF: u32 = 7;
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    let has_leaf = std::arch::x86_64::__cpuid(0).eax >= LEAF;
    has_leaf && std::arch::x86_64::__cpuid_count(LEAF, 0).edx & (BF16 | TILE) == BF16 | TILE
}

/// Asks the system for the tiles' registers, which a process gets on request.
#[cfg(target_os = "linux")]
fn asked() -> bool {
    /// `ARCH_REQ_XCOMP_PERM` and `XFEATURE_XTILEDATA`.
    const REQUEST: [libc::c_long; 2] = [0x1023, 18];
    // SAFETY: the call takes two numbers and changes nothing but this process's permission.
    unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST[0], REQUEST[1]) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn asked() -> bool {
    false
}
