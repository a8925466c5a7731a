//! Chooses a device. Only this file creates one.

mod libdevice;

use burn::tensor::{Device, Tensor};
#[cfg(feature = "cuda")]
use turnwise_ranks::local_rank;

use crate::device::driver_panic::catch_driver_panic;
use crate::device::kind::on_host;
use crate::device::self_check::self_check;

/// Says why a device can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The binary was built without it.
    #[error(
        "device \"{name}\" is not available\n  hint: this binary was built with {}; rebuild with --features {}",
        NAMES.join(", "),
        name.split(':').next().unwrap_or(name)
    )]
    Unknown {
        /// The requested name.
        name: String,
    },
    /// The machine lacks what it needs: a driver, or the hardware.
    #[error(
        "device \"{name}\" cannot be used on this machine: {why}\n  hint: `turnwise doctor` says which devices can"
    )]
    Unusable {
        /// The requested name.
        name: String,
        /// The driver's message, in one line.
        why: String,
    },
}

/// Names the version of Burn, the tensor library.
pub const BURN: &str = "0.22.1";

/// Lists the names of the backends that this binary was built with.
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

/// Returns the device of `name`, else of `BURN_DEVICE`, else the first of [`NAMES`]. A device that doesn't
/// answer is refused here, before any work is lost on it.
pub fn device(name: Option<&str>) -> Result<Device, DeviceError> {
    let name = chosen(name);
    let device = known(&name)?;
    if !on_host(&device) {
        answers(&device).and_then(|()| equipped(&name)).map_err(|why| DeviceError::Unusable { name, why })?;
    }
    Ok(device)
}

fn known(name: &str) -> Result<Device, DeviceError> {
    match name {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(burn::tensor::DeviceKind::default())),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::default())),
        #[cfg(feature = "cuda")]
        "cuda" => {
            Ok(Device::cuda(of_rank(local_rank(), std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref())))
        }
        #[cfg(feature = "tch")]
        #[expect(deprecated, reason = "Burn means to drop it; there is no other way to libtorch")]
        "tch" => Ok(Device::libtorch()),
        _ => Err(DeviceError::Unknown { name: name.into() }),
    }
}

/// Returns the number of a process's device. `rank`: its number on its machine; `visible`: the devices that
/// it sees, with commas between them, if they are named. Launchers such as Slurm may show each process only
/// one.
#[cfg(any(feature = "cuda", test))]
fn of_rank(rank: usize, visible: Option<&str>) -> usize {
    let visible = visible.map_or(0, |names| names.split(',').filter(|name| !name.trim().is_empty()).count());
    if visible == 0 { rank } else { rank % visible }
}

/// Returns [`device`] after [`self_check`], for training and evaluation, whose results count. The check takes
/// a few seconds. Burn's CPU backend skips it: it comes with the program and is tested with it.
pub fn checked(name: Option<&str>) -> Result<Device, DeviceError> {
    let device = device(name)?;
    if !on_host(&device) {
        catch_driver_panic(|| self_check(&device))
            .and_then(|found| found)
            .map_err(|why| DeviceError::Unusable { name: chosen(name), why })?;
    }
    Ok(device)
}

/// Checks one sum on the device.
fn answers(device: &Device) -> Result<(), String> {
    match catch_driver_panic(|| Tensor::<1>::from_floats([1.0, 2.0], device).sum().into_scalar::<f32>())? {
        3.0 => Ok(()),
        other => Err(format!("1 + 2 is {other} on it")),
    }
}

/// Checks for the files, besides a driver, that a backend compiles kernels from.
fn equipped(name: &str) -> Result<(), String> {
    match name {
        "cuda" => libdevice::found(std::env::var_os("CUDA_PATH").as_deref().map(std::path::Path::new)),
        _ => Ok(()),
    }
}

/// Returns the name of the device that [`device`] gives.
pub fn chosen(name: Option<&str>) -> String {
    let from_environment = std::env::var("BURN_DEVICE").ok();
    name.map(String::from)
        .or(from_environment)
        .unwrap_or_else(|| NAMES.first().copied().unwrap_or("none").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_refused_with_those_that_are() {
        let refused = device(Some("abacus")).unwrap_err().to_string();
        assert!(refused.contains("\"abacus\"") && refused.contains(NAMES[0]), "{refused}");
    }

    #[test]
    fn the_version_is_that_of_the_manifest() {
        let manifest =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("burn = {{ version = \"={BURN}\"")), "{BURN}");
    }

    #[test]
    fn each_rank_of_a_machine_has_its_device() {
        let check = |rank, visible, expect| assert_eq!(of_rank(rank, visible), expect, "{rank} {visible:?}");
        check(0, None, 0);
        check(3, None, 3);
        check(3, Some("0,1,2,3"), 3);
        check(3, Some("6"), 0);
        check(3, Some("GPU-a, GPU-b"), 1);
        check(1, Some(""), 1);
    }

    #[test]
    fn a_device_that_computes_answers() {
        let device = device(Some(NAMES[0])).unwrap();
        assert_eq!(answers(&device), Ok(()));
    }
}
