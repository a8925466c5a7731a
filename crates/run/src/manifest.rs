//! Writes and checks `manifest.json`: size and SHA-256 of every file of a folder.
//!
//! A damaged file is recognised before it is used.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use turnwise_files::{SETTINGS, own};

/// Names the file.
pub const NAME: &str = "manifest.json";

#[derive(Serialize, Deserialize)]
struct Manifest {
    /// Size and hash by file name.
    files: BTreeMap<String, Entry>,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// Writes the manifest of all files in the folder, and in the folders inside it.
///
/// # Errors
/// The system's.
pub fn write(folder: &Path) -> io::Result<()> {
    let mut files = BTreeMap::new();
    add(folder, "", &mut files)?;
    files.remove(NAME);
    let text = serde_json::to_string_pretty(&Manifest { files }).expect("a manifest is plain JSON") + "\n";
    own::write(&folder.join(NAME), text.as_bytes())
}

fn add(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Entry>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            add(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, entry_of(&path)?);
        }
    }
    Ok(())
}

/// Checks every file that the manifest names.
///
/// # Errors
/// The damage, in half a sentence.
pub fn verify(folder: &Path) -> Result<(), String> {
    let text = own::read(&folder.join(NAME), SETTINGS).map_err(|error| format!("{NAME}: {error}"))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| format!("{NAME}: {error}"))?;
    for (name, expected) in &manifest.files {
        let path = folder.join(name);
        let bytes = std::fs::metadata(&path).map_err(|error| format!("{name}: {error}"))?.len();
        if bytes != expected.bytes {
            return Err(format!("{name} has {bytes} bytes of {}", expected.bytes));
        }
        if entry_of(&path).map_err(|error| format!("{name}: {error}"))? != *expected {
            return Err(format!("{name} is not what was written: its SHA-256 differs"));
        }
    }
    Ok(())
}

/// Returns the SHA-256 of a file's content in hexadecimal digits.
///
/// # Errors
/// The system's.
pub fn file_sha256(path: &Path) -> io::Result<String> {
    Ok(entry_of(path)?.sha256)
}

fn entry_of(path: &Path) -> io::Result<Entry> {
    let mut file = turnwise_files::open(path)?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Entry { bytes, sha256: hex(&digest.finalize()) });
        }
        digest.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16");
    bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_to_any_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("w"), [7; 5000]).unwrap();
        std::fs::create_dir(path("inner")).unwrap();
        std::fs::write(path("inner/empty"), "").unwrap();
        write(folder.path()).unwrap();
        assert_eq!(verify(folder.path()), Ok(()));
        let text = std::fs::read_to_string(path(NAME)).unwrap();
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(
            text.contains("inner/empty") && text.contains(nothing),
            "the published digest of no bytes: {text}"
        );

        let check = |expect: &str| {
            let error = verify(folder.path()).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        let mut bytes = vec![7; 5000];
        bytes[4321] ^= 1;
        std::fs::write(path("w"), bytes).unwrap();
        check("w is not what was written");
        std::fs::write(path("w"), [7; 4999]).unwrap();
        check("w has 4999 bytes of 5000");
        std::fs::remove_file(path("w")).unwrap();
        check("w: No such file");
        std::fs::write(path(NAME), &text[..20]).unwrap();
        check("manifest.json: EOF");
        std::fs::remove_file(path(NAME)).unwrap();
        check("manifest.json: No such file");
    }
}
