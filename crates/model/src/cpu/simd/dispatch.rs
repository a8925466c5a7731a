//! Which vector instructions this processor has.

#[cfg(target_arch = "x86_64")]
use pulp::Simd;
use pulp::{Arch, WithSimd};

/// What to dispatch to. AVX-512 is compiled in where the tensor backend asks for it (`burn/x86-v4`), AVX2 always, and
/// other processors take what `pulp` finds.
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

    /// Runs `work`, compiled for the best instructions there are.
    pub(crate) fn run<W: WithSimd>(self, work: W) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        if let (Arch::Scalar, Some(avx2)) = (self.arch, self.avx2) {
            return Simd::vectorize(avx2, work);
        }
        self.arch.dispatch(work)
    }
}
