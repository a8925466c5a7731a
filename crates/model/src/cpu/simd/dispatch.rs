//! The vector instructions of this processor.

#[cfg(target_arch = "x86_64")]
use pulp::Simd;
use pulp::{Arch, WithSimd};

#[cfg(target_arch = "x86_64")]
use super::tiles::Tiles;

/// Selects vector instructions.
///
/// AVX-512 needs the tensor backend's `burn/x86-v4` at compile time, AVX2 is found at run time, and other
/// processors get the choice of `pulp`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    arch: Arch,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<pulp::x86::V3>,
    #[cfg(target_arch = "x86_64")]
    vnni: Option<Vnni>,
    #[cfg(target_arch = "x86_64")]
    tiles: Option<Tiles>,
}

/// Shows that the processor has AVX-512 VNNI.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vnni(());

impl Cpu {
    pub(crate) fn detect() -> Self {
        Self {
            arch: Arch::new(),
            #[cfg(target_arch = "x86_64")]
            avx2: pulp::x86::V3::try_new(),
            #[cfg(target_arch = "x86_64")]
            vnni: (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"))
                .then_some(Vnni(())),
            #[cfg(target_arch = "x86_64")]
            tiles: Tiles::detect(),
        }
    }

    /// Returns the instructions of AVX2, if there are any.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn avx2(self) -> Option<pulp::x86::V3> {
        self.avx2
    }

    /// Returns the instructions of AVX-512 VNNI, if there are any.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn vnni(self) -> Option<Vnni> {
        self.vnni
    }

    /// Returns the tiles of AMX, if there are any.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn tiles(self) -> Option<Tiles> {
        self.tiles
    }

    /// Lists the instruction sets to test, the best first.
    #[cfg(test)]
    pub(crate) fn each() -> Vec<Self> {
        let best = Self::detect();
        #[cfg(target_arch = "x86_64")]
        {
            let no_tiles = Self { tiles: None, ..best };
            let avx2 = Self { arch: Arch::Scalar, vnni: None, ..no_tiles };
            vec![best, no_tiles, Self { vnni: None, ..no_tiles }, avx2, Self { avx2: None, ..avx2 }]
        }
        #[cfg(not(target_arch = "x86_64"))]
        vec![best]
    }

    /// Runs `work`, compiled for the best available instructions.
    pub(crate) fn run<W: WithSimd>(self, work: W) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        if let (Arch::Scalar, Some(avx2)) = (self.arch, self.avx2) {
            return Simd::vectorize(avx2, work);
        }
        self.arch.dispatch(work)
    }
}
