//! Choosing a device: the only place that names a backend.

use burn::tensor::Device;

/// A device that this binary doesn't have.
#[derive(Debug, thiserror::Error)]
#[error("device \"{name}\" is not available\n  hint: this binary was built with {}; rebuild with --features {name}", NAMES.join(", "))]
pub struct UnknownDevice {
    name: String,
}

/// Names of the backends that this binary was built with.
pub const NAMES: &[&str] = &[
    #[cfg(feature = "flex")]
    "flex",
    #[cfg(feature = "wgpu")]
    "wgpu",
    #[cfg(feature = "vulkan")]
    "vulkan",
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "tch")]
    "tch",
];

/// The device of a name, or without one what `BURN_DEVICE` says, or the first of [`NAMES`].
pub fn device(name: Option<&str>) -> Result<Device, UnknownDevice> {
    let name = chosen(name);
    match name.as_str() {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::default())),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::default())),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "tch")]
        "tch" => Ok(Device::libtorch()),
        _ => Err(UnknownDevice { name }),
    }
}

/// The name of the device that [`device`] gives.
pub fn chosen(name: Option<&str>) -> String {
    let from_environment = std::env::var("BURN_DEVICE").ok();
    name.map(String::from)
        .or(from_environment)
        .unwrap_or_else(|| NAMES.first().copied().unwrap_or("none").into())
}
