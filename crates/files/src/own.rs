//! Files of a run directory. No symbolic link inside it is followed, because its target isn't the run's.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::regular::{bounded, opened, refused};

/// Opens a file for reading.
///
/// # Errors
/// The system's, or one that says that the name is a link, or no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    with(OpenOptions::new().read(true), path)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`], and one that names size and limit if the file is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    bounded(&open(path)?, limit)
}

/// Opens a file for writing and empties it.
///
/// # Errors
/// Those of [`open`].
pub fn create(path: &Path) -> io::Result<File> {
    let file = with(OpenOptions::new().write(true).create(true), path)?;
    file.set_len(0)?;
    Ok(file)
}

/// Opens a file for appending, and makes it if it doesn't exist.
///
/// # Errors
/// Those of [`open`].
pub fn append(path: &Path) -> io::Result<File> {
    with(OpenOptions::new().append(true).create(true), path)
}

/// Replaces the content of a file.
///
/// # Errors
/// Those of [`open`], and the system's while it writes.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// Opens a file with the given options if neither a link nor anything but a regular file has its name.
///
/// # Errors
/// Those of [`open`].
pub fn with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    refuse_link(path)?;
    #[cfg(unix)]
    let flags = libc::O_NOFOLLOW;
    #[cfg(not(unix))]
    let flags = 0;
    let file = opened(options, flags, path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(refused("is not a regular file".into())) }
}

/// Fails if the name is a symbolic link. A name that doesn't exist is fine.
///
/// # Errors
/// One that says what to do.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => Err(refused(
            "is a symbolic link, and a run follows none inside its directory\n  hint: put the file or folder itself there"
                .into(),
        )),
        _ => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for error in [
            read(&link, 9).unwrap_err(),
            create(&link).unwrap_err(),
            append(&link).unwrap_err(),
            write(&link, b"x").unwrap_err(),
        ] {
            assert!(error.to_string().starts_with("is a symbolic link"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
        let dangling = folder.path().join("dangling");
        std::os::unix::fs::symlink(folder.path().join("none"), &dangling).unwrap();
        assert!(create(&dangling).is_err() && !folder.path().join("none").exists());
    }

    #[test]
    fn files_are_made_emptied_and_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"long content").unwrap();
        write(&path, b"ab").unwrap();
        append(&path).unwrap().write_all(b"c").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"abc");
        assert!(append(Path::new("/dev/full")).is_err(), "a device is no file of a run");
    }
}
