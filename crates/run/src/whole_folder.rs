//! Writes folders that get their name only when they are complete and on disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::RunDirError;

/// Fills a folder under another name (`.NAME.partial`), flushes every file to disk and renames it.
///
/// Fails if `path` exists. Remains of an interrupted attempt are removed first.
pub fn write<E: From<RunDirError>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    if path.exists() {
        return Err(RunDirError::Exists { path: path.into() }.into());
    }
    let aside = aside(path);
    let failed = |source| RunDirError::Write { path: path.into(), source };
    let prepare = || {
        if aside.exists() {
            std::fs::remove_dir_all(&aside)?;
        }
        std::fs::create_dir_all(&aside)
    };
    prepare().map_err(failed)?;
    if let Err(error) = fill(&aside) {
        // The error of filling matters more than an error of removing.
        let _ = std::fs::remove_dir_all(&aside);
        return Err(error);
    }
    let publish = || {
        sync_tree(&aside)?;
        std::fs::rename(&aside, path)?;
        sync_folder(aside.parent().unwrap_or(path))
    };
    if let Err(source) = publish() {
        let _ = std::fs::remove_dir_all(&aside);
        return Err(failed(source).into());
    }
    Ok(())
}

/// Removes a folder. It is renamed first, so that half of it is never visible.
pub fn remove(path: &Path) -> Result<(), RunDirError> {
    let aside = aside(path);
    let remove = || {
        std::fs::rename(path, &aside)?;
        std::fs::remove_dir_all(&aside)
    };
    remove().map_err(|source| RunDirError::Write { path: path.into(), source })
}

fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    sync_folder(folder)
}

/// Flushes a folder's entries to disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // The parent of a bare name is the empty path.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_before_it_is_complete() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("m");
        let fail = write(&path, |folder| {
            std::fs::write(folder.join("half"), "x").unwrap();
            assert!(!path.exists(), "filled aside");
            Err(RunDirError::InUse { path: folder.into() })
        });
        assert!(fail.is_err());
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "a failure leaves nothing");

        std::fs::create_dir(parent.path().join(".m.partial")).unwrap();
        std::fs::write(parent.path().join(".m.partial/old"), "x").unwrap();
        write::<RunDirError>(&path, |folder| {
            std::fs::create_dir(folder.join("inner")).unwrap();
            std::fs::write(folder.join("inner/new"), "x").unwrap();
            Ok(())
        })
        .unwrap();
        assert!(
            path.join("inner/new").exists() && !path.join("old").exists(),
            "leftovers are not taken over"
        );
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
        assert!(write::<RunDirError>(&path, |_| unreachable!("not even asked")).is_err());
    }
}
