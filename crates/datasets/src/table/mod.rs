//! Tables in parquet, as rows of JSON.
//!
//! Numbers, texts, truth values, lists, structs and maps become those of JSON. A decimal number becomes its
//! text. Dates and times become the number that is stored. Bytes that are no text, INT96 and numbers that
//! JSON lacks become null. Keys of a struct that are null are left out, because the struct has those of all
//! rows. Columns in a form that isn't read are left out too, and readers that need them are told.

mod assembly;
mod decimal;
mod guard;
mod header;
mod leaf;
mod packing;
mod pages;
mod thrift;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use serde_json::Value;

use crate::error::DataError;
use crate::limits::{UNPACKED, too_much};
use crate::row::{Row, Rows};
use assembly::{Assembly, Field};
use leaf::said;
use pages::{Pages, Taken};

/// Tells whether a file begins as parquet.
pub(crate) fn is_one(start: &[u8]) -> bool {
    start.starts_with(b"PAR1") || start.starts_with(b"PARE")
}

/// Returns the rows of a table.
pub(crate) fn rows(path: &Path) -> Result<Rows, DataError> {
    let bytes = turnwise_files::read(path, UNPACKED).map_err(|source| DataError::unreadable(path, source))?;
    let wrong = |message| DataError::file(path, message);
    guard::description(&bytes).map_err(wrong)?;
    let bytes = Bytes::from(bytes);
    let open = || -> Result<Table, String> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).map_err(|error| said(&error))?;
        let columns = assembly::columns(metadata.file_metadata().schema());
        if columns.is_empty() {
            return Err("the table has no columns; hint: write them".into());
        }
        let (taken, rows) = (Taken::default(), Assembly::new(Vec::new()));
        let (unread, readable) = (None, Vec::new());
        Ok(Table { file: bytes, metadata, columns, taken, group: 0, left: 0, rows, unread, readable })
    };
    let table = caught(open).map_err(wrong)?;
    Ok(Box::new(Numbered { table, path: path.into(), row: 0, bytes: 0 }))
}

/// Runs what calls the parquet library, which panics at some damaged files. All of it is dropped then.
fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err("the parquet file is damaged; hint: write or download it again".into()))
}

/// A file and the row group that is read.
struct Table {
    file: Bytes,
    metadata: ParquetMetaData,
    columns: Vec<Field>,
    taken: Taken,
    /// The next row group.
    group: usize,
    /// Rows that are left of the one before.
    left: i64,
    rows: Assembly,
    /// Columns of the row group that can't be read, for people; and which ones can.
    unread: Option<Arc<str>>,
    readable: Vec<bool>,
}

impl Table {
    fn next(&mut self) -> Result<Option<String>, String> {
        while self.left <= 0 {
            if self.group == self.metadata.num_row_groups() {
                return Ok(None);
            }
            self.open()?;
        }
        self.left -= 1;
        Ok(Some(Value::Object(self.rows.row(&self.columns, &self.readable)?).to_string()))
    }

    /// Opens the next row group. Columns in a form that isn't read are left out, unless all of them are.
    fn open(&mut self) -> Result<(), String> {
        let group = self.metadata.row_group(self.group);
        self.taken.values = Arc::default();
        let refused: Vec<Option<String>> = group.columns().iter().map(pages::refused).collect();
        let named = |(column, why): (&ColumnChunkMetaData, &Option<String>)| {
            Some(format!("column {}: {}", column.column_path().string(), why.as_ref()?))
        };
        let unread: Vec<String> = group.columns().iter().zip(&refused).filter_map(named).collect();
        let part =
            |column: &Field| refused.get(column.leaves()).is_none_or(|of| of.iter().all(Option::is_none));
        self.readable = self.columns.iter().map(part).collect();
        if let Some(first) = unread.first().filter(|_| !self.readable.contains(&true)) {
            return Err(format!("{first}; {}", pages::HINT));
        }
        self.unread = (!unread.is_empty()).then(|| unread.join(", ").into());
        let open = |(column, refused): (&ColumnChunkMetaData, &Option<String>)| -> Result<_, String> {
            if refused.is_some() {
                return Ok(leaf::none());
            }
            let pages = Pages::new(&self.file, column, self.taken.clone());
            let name = || format!("column {}: ", column.column_path().string());
            Ok(leaf::open(pages.map_err(|what| name() + &what)?, column.column_descr_ptr()))
        };
        let leaves = group.columns().iter().zip(&refused).map(open).collect::<Result<_, String>>()?;
        self.rows = Assembly::new(leaves);
        (self.left, self.group) = (group.num_rows(), self.group + 1);
        Ok(())
    }
}

/// Rows with their numbers.
struct Numbered {
    table: Table,
    path: PathBuf,
    row: usize,
    /// Text that was made so far.
    bytes: u64,
}

impl Iterator for Numbered {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.row += 1;
        let row = caught(|| self.table.next()).and_then(|row| {
            self.bytes += row.as_ref().map_or(0, |text| text.len() as u64);
            if self.bytes > UNPACKED { Err(too_much()) } else { Ok(row) }
        });
        match row {
            Ok(None) => None,
            Ok(Some(text)) => {
                let unread = self.table.unread.clone();
                Some(Ok(Row { line: self.row, text, made: true, unread }))
            }
            Err(message) => Some(Err(DataError::line(&self.path, self.row, message))),
        }
    }
}
