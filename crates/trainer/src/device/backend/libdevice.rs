//! Finds NVIDIA's math functions as bitcode. Burn links them into the kernels of `cuda`; a driver comes
//! without them.

use std::path::Path;

/// Folders that cubecl-llvm 0.11.3 searches if `CUDA_PATH` isn't set.
const ROOTS: [&str; 4] = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"];

const FILE: &str = "nvvm/libdevice/libdevice.10.bc";

/// Checks that the file exists, in the folder that `CUDA_PATH` names or in the usual ones. Without it the
/// first kernel with an exponential function fails, well into the work.
///
/// # Errors
/// The searched folders, in one line.
pub(super) fn found(cuda_path: Option<&Path>) -> Result<(), String> {
    let (roots, places) = match cuda_path {
        Some(path) => (vec![path], format!("{} (CUDA_PATH)", path.display())),
        None => (ROOTS.map(Path::new).to_vec(), format!("{}, and CUDA_PATH isn't set", ROOTS.join(", "))),
    };
    if roots.iter().any(|root| root.join(FILE).is_file()) {
        return Ok(());
    }
    Err(format!("its kernels need {FILE}, of a CUDA toolkit or by scripts/libdevice.sh; not in {places}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libdevice_is_looked_for_where_cuda_path_says() {
        let folder = tempfile::tempdir().unwrap();
        let missing = found(Some(folder.path())).unwrap_err();
        let there = folder.path().display().to_string();
        assert!(missing.contains(&there) && !missing.contains('\n'), "{missing}");
        std::fs::create_dir_all(folder.path().join(FILE).parent().unwrap()).unwrap();
        std::fs::write(folder.path().join(FILE), "").unwrap();
        assert_eq!(found(Some(folder.path())), Ok(()));
    }
}
