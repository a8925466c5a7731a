//! How pages are packed.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use parquet::basic::Compression;
use ruzstd::decoding::FrameDecoder;

/// Names a codec that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Snappy,
    Gzip,
    Zstd,
}

impl Packing {
    /// Returns the packing of a column, or why it isn't read.
    pub(super) fn of(compression: Compression) -> Result<Self, String> {
        let name = match compression {
            Compression::UNCOMPRESSED => return Ok(Self::None),
            Compression::SNAPPY => return Ok(Self::Snappy),
            Compression::GZIP(_) => return Ok(Self::Gzip),
            Compression::ZSTD(_) => return Ok(Self::Zstd),
            Compression::BROTLI(_) => "brotli",
            Compression::LZ4 | Compression::LZ4_RAW => "lz4",
            Compression::LZO => "lzo",
        };
        Err(format!("compressed with {name}, which isn't read"))
    }

    /// Returns levels and the bytes that were packed after them. Fails unless those are `size` bytes.
    pub(super) fn unpack(self, levels: &[u8], packed: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let start = levels.len();
        let damaged =
            || format!("a page that was packed with {self:?} is damaged; hint: write the file again");
        // Packed, nothing may be nothing at all. The library of zstd takes a place without room for a fault.
        if self == Self::None || size == 0 {
            let text = if size == 0 { &[] } else { packed };
            return if text.len() == size { Ok([levels, text].concat()) } else { Err(damaged()) };
        }
        // Untouched, zeros take no memory: a page may state any size.
        let mut page = vec![0; start + size];
        page[..start].copy_from_slice(levels);
        let text = &mut page[start..];
        let read = match self {
            Self::None => None,
            Self::Gzip => unzip(packed, text).ok(),
            Self::Snappy => {
                let stated = snap::raw::decompress_len(packed).ok().filter(|stated| *stated == size);
                stated.and_then(|_| snap::raw::Decoder::new().decompress(packed, text).ok())
            }
            Self::Zstd => FrameDecoder::new().decode_all(packed, text).ok(),
        };
        if read == Some(size) { Ok(page) } else { Err(damaged()) }
    }
}

/// Unpacks gzip, whose end has to be that of the text.
fn unzip(packed: &[u8], text: &mut [u8]) -> std::io::Result<usize> {
    let mut from = MultiGzDecoder::new(packed);
    from.read_exact(text)?;
    let further = from.read(&mut [0])?;
    Ok(text.len() + further)
}
