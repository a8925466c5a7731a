//! Regular files for reading.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading. Follows links.
///
/// # Errors
/// The system's, or one that names the kind of file if it isn't a regular one.
pub fn open(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true), path)
}

/// Opens a regular file of at most `limit` bytes for reading.
///
/// # Errors
/// Those of [`open`], and one that names size and limit if the file is larger.
pub fn open_within(path: &Path, limit: u64) -> io::Result<File> {
    let file = open(path)?;
    within(&file, limit)?;
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`], and one that names size and limit if the file is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    bounded(&open(path)?, limit)
}

/// Reads a regular file of UTF-8 text of at most `limit` bytes.
///
/// # Errors
/// Those of [`read`], and one if the text isn't UTF-8.
pub fn read_to_string(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Opens a file with the given options, without waiting, and refuses all but regular files.
pub(crate) fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = opened(options, 0, path)?;
    match kind(&file.metadata()?) {
        None => Ok(file),
        Some(kind) => Err(refused(format!("is {kind}, not a regular file"))),
    }
}

/// Opens without waiting for the other end of a FIFO, and with further flags of the system.
pub(crate) fn opened(options: &mut OpenOptions, flags: i32, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(flags | libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    #[cfg(not(unix))]
    let _ = flags;
    options.open(path)
}

/// Reads a file, and fails if it is larger than `limit` or grows beyond it.
pub(crate) fn bounded(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let size = within(file, limit)?;
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(refused(format!("grows, and has more than the {limit} bytes that are read")));
    }
    Ok(bytes)
}

/// Returns the size of a file, and fails if it is above `limit`.
fn within(file: &File, limit: u64) -> io::Result<u64> {
    let size = file.metadata()?.len();
    if size > limit {
        return Err(refused(format!("has {size} bytes, more than the {limit} that are read")));
    }
    Ok(size)
}

pub(crate) fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Names the kind of a file, unless it is a regular one.
fn kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a FIFO");
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    Some(if kind.is_dir() { "a folder" } else { "something else" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_its_size_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"abc");
        assert_eq!(read_to_string(&path, u64::MAX).unwrap(), "abc");
        let error = read(&path, 2).unwrap_err().to_string();
        assert_eq!(error, "has 3 bytes, more than the 2 that are read");
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_to_string(&path, 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&folder.path().join("none"), 9).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_sparse_file_costs_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&path, 1 << 30).unwrap_err().to_string().starts_with("has 1099511627776 bytes"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let check = |path: &Path, expect: &str| {
            let error = read(path, 9).unwrap_err().to_string();
            assert!(error.contains(expect), "{}: {error}", path.display());
        };
        check(&fifo, "is a FIFO, not a regular file");
        check(folder.path(), "folder");
        check(Path::new("/dev/zero"), "is a device, not a regular file");
        // A socket can't be opened at all.
        check(&socket, "os error");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_without_a_size_is_read_to_its_end() {
        assert!(!read(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
        assert!(read(Path::new("/proc/self/status"), 10).unwrap_err().to_string().contains("grows"));
    }
}
