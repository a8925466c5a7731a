//! Arithmetic on the CPU without Burn's operations: single passes in Burn's graph, and decoding.

pub(crate) mod decode;
#[cfg_attr(not(feature = "flex"), allow(dead_code, reason = "other backends take Burn's operations"))]
pub(crate) mod fused;
pub(crate) mod simd;
