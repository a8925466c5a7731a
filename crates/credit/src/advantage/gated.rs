//! The reward of the GTPO paper's baseline, which other estimators share.

use crate::episode::Episode;

/// Returns `min(acc, format_ok)`: 1 for a right trajectory without a violation, otherwise 0.
pub(super) fn gated(episode: &Episode) -> f64 {
    let format_ok = !episode.violations.contains(&true);
    if format_ok && episode.right { 1.0 } else { 0.0 }
}
