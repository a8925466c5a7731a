//! The vector instructions of this processor.

#[cfg(target_arch = "x86_64")]
use pulp::Simd;
use pulp::{Arch, WithSimd};

/// Selects vector instructions.
///
/// AVX-512 needs the tensor backend's `burn/x86-v4` at compile time, AVX2 is found at run time, and other
/// processors get the choice of `pulp`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    arch: Arch,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<pulp::x86::V3>,
}

impl Cpu {
    pub(crate) fn detect() -> Self {
        Self {
            arch: Arch::new(),
            #[cfg(target_arch = "x86_64")]
            avx2: pulp::x86::V3::try_new(),
        }
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
