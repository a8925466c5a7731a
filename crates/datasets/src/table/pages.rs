//! Pages of a column in a row group, unpacked one at a time.
//!
//! The parquet library has a reader of pages. It asks for memory by sizes that the file states, and unpacks
//! gzip without a bound; so this one takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as LibraryResult};
use parquet::file::metadata::ColumnChunkMetaData;

use crate::limits::{UNPACKED, VALUES, too_much};
use crate::table::guard::DAMAGED;
use crate::table::header::{Header, Kind};
use crate::table::packing::Packing;
use crate::table::thrift::Compact;

/// Advice about a column in a form that isn't read.
pub(super) const HINT: &str = "hint: write it with a dictionary, and with snappy, zstd or gzip";

/// Returns why a column isn't read, as far as its description tells. None for one that is.
pub(super) fn refused(column: &ColumnChunkMetaData) -> Option<String> {
    let packing = Packing::of(column.compression()).err();
    packing.or_else(|| column.encodings().any(|encoding| encoding == PREFIXES).then(prefixes))
}

/// An encoding in which every value may repeat the one before it, so that a small page holds any size.
const PREFIXES: Encoding = Encoding::DELTA_BYTE_ARRAY;

fn prefixes() -> String {
    format!("encoded as {PREFIXES}, which isn't read")
}

/// Counts the room that the pages of a file have taken.
#[derive(Clone, Default)]
pub(super) struct Taken {
    /// Bytes of the file, unpacked.
    pub(super) bytes: Arc<AtomicU64>,
    /// Values of the row group that may stay in memory at once: those of dictionaries, and in lists.
    pub(super) values: Arc<AtomicU64>,
}

/// Holds the pages that are left of a column.
pub(super) struct Pages {
    left: Bytes,
    packing: Packing,
    taken: Taken,
    /// Whether values have levels of repetition and of definition.
    levels: [bool; 2],
}

impl Pages {
    pub(super) fn new(file: &Bytes, column: &ColumnChunkMetaData, taken: Taken) -> Result<Self, String> {
        let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
        let start = usize::try_from(start).map_err(|_| DAMAGED)?;
        let length = usize::try_from(column.compressed_size()).map_err(|_| DAMAGED)?;
        let end = start.checked_add(length).filter(|end| *end <= file.len()).ok_or(DAMAGED)?;
        let about = column.column_descr();
        Ok(Self {
            left: file.slice(start..end),
            packing: Packing::of(column.compression()).map_err(|why| format!("{why}; {HINT}"))?,
            taken,
            levels: [about.max_rep_level() > 0, about.max_def_level() > 0],
        })
    }

    /// Returns the header of the next page that holds values.
    fn header(&mut self) -> Result<Option<Header>, String> {
        while !self.left.is_empty() {
            let header = Header::read(&self.left)?;
            if header.stored > self.left.len() - header.bytes {
                return Err(DAMAGED.into());
            }
            if header.kind != Kind::Other {
                return Ok(Some(header));
            }
            self.left = self.left.slice(header.bytes + header.stored..);
        }
        Ok(None)
    }

    fn page(&mut self) -> Result<Option<Page>, String> {
        let Some(header) = self.header()? else { return Ok(None) };
        let packed = self.left.slice(header.bytes..header.bytes + header.stored);
        self.left = self.left.slice(header.bytes + header.stored..);
        self.bound(&header)?;
        let Header { size, kind, .. } = header;
        let page = match kind {
            Kind::Dictionary { values, encoding } => Page::DictionaryPage {
                buf: self.unpacked(&packed, 0, size, true)?,
                num_values: values,
                encoding,
                is_sorted: false,
            },
            Kind::Data { values, encoding, definition, repetition } => Page::DataPage {
                buf: self.unpacked(&packed, 0, size, true)?,
                num_values: values,
                encoding,
                def_level_encoding: definition,
                rep_level_encoding: repetition,
                statistics: None,
            },
            Kind::DataV2 { values, nulls, rows, encoding, definition, repetition, packed: is_packed } => {
                let levels = definition as usize + repetition as usize;
                Page::DataPageV2 {
                    buf: self.unpacked(&packed, levels, size, is_packed)?,
                    num_values: values,
                    encoding,
                    num_nulls: nulls,
                    num_rows: rows,
                    def_levels_byte_len: definition,
                    rep_levels_byte_len: repetition,
                    is_compressed: false,
                    statistics: None,
                }
            }
            Kind::Other => return Err(DAMAGED.into()),
        };
        self.check_lengths(&page)?;
        Ok(Some(page))
    }

    /// Returns a page without its packing, which begins after the levels.
    fn unpacked(&self, stored: &Bytes, levels: usize, size: usize, is_packed: bool) -> Result<Bytes, String> {
        if self.packing == Packing::None || !is_packed {
            return if stored.len() == size { Ok(stored.clone()) } else { Err(DAMAGED.into()) };
        }
        if levels > stored.len() || levels > size {
            return Err(DAMAGED.into());
        }
        let (levels, packed) = stored.split_at(levels);
        Ok(self.packing.unpack(levels, packed, size - levels.len())?.into())
    }

    /// Counts what a page will take.
    fn bound(&self, header: &Header) -> Result<(), String> {
        let count = |total: &AtomicU64, more: u64| total.fetch_add(more, Ordering::Relaxed) + more;
        if count(&self.taken.bytes, header.size.max(header.stored) as u64) > UNPACKED {
            return Err(too_much());
        }
        let stay = match header.kind {
            Kind::Dictionary { values, .. } => values,
            Kind::Data { values, .. } | Kind::DataV2 { values, .. } if self.levels[0] => values,
            _ => 0,
        };
        if count(&self.taken.values, stay.into()) > VALUES {
            let most = VALUES >> 20;
            return Err(format!(
                "a row group has more than {most} Mi values in lists and dictionaries; hint: write smaller ones"
            ));
        }
        Ok(())
    }

    /// Refuses values whose decoder would ask for memory by a number in the page.
    fn check_lengths(&self, page: &Page) -> Result<(), String> {
        match page.encoding() {
            PREFIXES => return Err(format!("{}; {HINT}", prefixes())),
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {}
            _ => return Ok(()),
        }
        let values = match page {
            Page::DataPage { buf, .. } => {
                let mut rest = &buf[..];
                for _ in self.levels.iter().filter(|level| **level) {
                    rest = behind_levels(rest).ok_or(DAMAGED)?;
                }
                rest
            }
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                buf.get(levels..).ok_or(DAMAGED)?
            }
            Page::DictionaryPage { .. } => return Err(DAMAGED.into()),
        };
        let mut head = Compact::new(values);
        let lengths = (0..2).try_for_each(|_| head.varint().map(|_| ())).and_then(|()| head.varint());
        match lengths {
            Ok(lengths) if lengths <= u64::from(page.num_values()) => Ok(()),
            _ => Err(DAMAGED.into()),
        }
    }
}

/// Returns the bytes after levels, whose length stands before them.
fn behind_levels(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(u32::from_le_bytes(*length) as usize..)
}

impl Iterator for Pages {
    type Item = LibraryResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> LibraryResult<Option<Page>> {
        self.page().map_err(ParquetError::General)
    }

    fn peek_next_page(&mut self) -> LibraryResult<Option<PageMetadata>> {
        let header = self.header().map_err(ParquetError::General)?;
        Ok(header.map(|header| match header.kind {
            Kind::Dictionary { .. } | Kind::Other => {
                PageMetadata { num_rows: None, num_levels: None, is_dict: true }
            }
            Kind::Data { values, .. } => {
                PageMetadata { num_rows: None, num_levels: Some(values as usize), is_dict: false }
            }
            Kind::DataV2 { values, rows, .. } => PageMetadata {
                num_rows: Some(rows as usize),
                num_levels: Some(values as usize),
                is_dict: false,
            },
        }))
    }

    fn skip_next_page(&mut self) -> LibraryResult<()> {
        if let Some(header) = self.header().map_err(ParquetError::General)? {
            self.left = self.left.slice(header.bytes + header.stored..);
        }
        Ok(())
    }
}
