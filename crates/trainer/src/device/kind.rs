//! The kind of a device: whether the CPU backend computes, and whether tensors lie in this process.

use burn::tensor::Device;

/// Returns whether a device is Burn's CPU backend, whose cores we have to keep busy ourselves.
#[cfg(feature = "flex")]
pub(crate) fn on_host(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::flex()
}

#[cfg(not(feature = "flex"))]
pub(crate) fn on_host(_: &Device) -> bool {
    false
}

/// Returns whether tensors of a device live in the memory of this process.
pub(crate) fn in_memory(device: &Device) -> bool {
    on_host(device) || is_libtorch_on_cpu(device)
}

#[cfg(feature = "tch")]
#[expect(deprecated, reason = "Burn means to drop it; there is no other way to libtorch")]
fn is_libtorch_on_cpu(device: &Device) -> bool {
    device.clone().without_autodiff() == Device::libtorch()
}

#[cfg(not(feature = "tch"))]
fn is_libtorch_on_cpu(_: &Device) -> bool {
    false
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_backend_is_known_with_and_without_a_graph() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            assert!(on_host(&device) && in_memory(&device), "{device:?}");
        }
    }
}
