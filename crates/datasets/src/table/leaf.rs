//! A column of simple values, read a few rows at a time.

use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType, Int96};
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;
use serde_json::Value;

use crate::table::decimal::decimal;
use crate::table::pages::Pages;

/// Returns what the library says, in one line.
pub(super) fn said(error: &ParquetError) -> String {
    match error {
        ParquetError::General(message) if message.contains("hint: ") => message.clone(),
        other => {
            let message = other.to_string().replace('\n', " ");
            format!("{message}; hint: write or download the file again")
        }
    }
}

/// Rows that are decoded at once.
const ROWS: usize = 256;

/// Pairs the levels of definition and repetition of a value.
pub(super) type Levels = (i16, i16);

/// Gives the values of a column in a row group.
pub(super) trait Leaf {
    /// Decodes further rows where none is left. Fails at the end of the column.
    fn begin_row(&mut self) -> Result<(), String>;

    /// Returns the levels of the next value of the row; none at its end, or at the start of the next row.
    fn levels(&self) -> Option<Levels>;

    /// Returns the next value, null if there is none at its levels.
    fn take(&mut self) -> Result<Value, String>;
}

/// Returns a column that isn't read, in the place of its values.
pub(super) fn none() -> Box<dyn Leaf> {
    struct Unread;
    impl Leaf for Unread {
        fn begin_row(&mut self) -> Result<(), String> {
            self.take().map(|_| ())
        }

        fn levels(&self) -> Option<Levels> {
            None
        }

        fn take(&mut self) -> Result<Value, String> {
            Err("it isn't read".into())
        }
    }
    Box::new(Unread)
}

/// Opens a column of a row group.
pub(super) fn open(pages: Pages, about: ColumnDescPtr) -> Box<dyn Leaf> {
    let scale = decimal_scale(&about);
    let unsigned = matches!(
        about.converted_type(),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
    );
    let is_text =
        matches!(about.converted_type(), ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM)
            || matches!(about.logical_type_ref(), Some(LogicalType::String));
    match get_column_reader(about.clone(), Box::new(pages)) {
        ColumnReader::BoolColumnReader(reader) => typed(reader, about, |value| Ok((*value).into())),
        ColumnReader::Int32ColumnReader(reader) => typed(reader, about, move |value| {
            Ok(match scale {
                Some(scale) => decimal(i128::from(*value), scale),
                None if unsigned => (*value as u32).into(),
                None => (*value).into(),
            })
        }),
        ColumnReader::Int64ColumnReader(reader) => typed(reader, about, move |value| {
            Ok(match scale {
                Some(scale) => decimal(i128::from(*value), scale),
                None if unsigned => (*value as u64).into(),
                None => (*value).into(),
            })
        }),
        ColumnReader::Int96ColumnReader(reader) => typed(reader, about, |_: &Int96| Ok(Value::Null)),
        ColumnReader::FloatColumnReader(reader) => typed(reader, about, |value| Ok(f64::from(*value).into())),
        ColumnReader::DoubleColumnReader(reader) => typed(reader, about, |value| Ok((*value).into())),
        ColumnReader::ByteArrayColumnReader(reader) => {
            typed(reader, about, move |value: &ByteArray| match (scale, std::str::from_utf8(value.data())) {
                (Some(scale), _) => {
                    Ok(whole(value.data()).map_or(Value::Null, |value| decimal(value, scale)))
                }
                (None, Ok(text)) => Ok(text.into()),
                (None, Err(_)) if is_text => Err("a text isn't UTF-8; hint: write it as UTF-8".into()),
                (None, Err(_)) => Ok(Value::Null),
            })
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => typed(reader, about, move |value| {
            let whole = scale.and_then(|scale| Some((whole(value.data())?, scale)));
            Ok(whole.map_or(Value::Null, |(value, scale)| decimal(value, scale)))
        }),
    }
}

/// Returns the places after the point, if the column holds decimal numbers.
fn decimal_scale(about: &ColumnDescPtr) -> Option<u32> {
    let has_numbers = matches!(
        about.physical_type(),
        Physical::INT32 | Physical::INT64 | Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY
    );
    let is_one = has_numbers && about.converted_type() == ConvertedType::DECIMAL;
    is_one.then(|| u32::try_from(about.type_scale()).unwrap_or(0).min(64))
}

/// Returns a whole number of at most sixteen bytes, the highest first.
fn whole(bytes: &[u8]) -> Option<i128> {
    let mut number = if *bytes.first()? >= 0x80 { -1 } else { 0 };
    for byte in bytes {
        number = (number << 8) | i128::from(*byte);
    }
    (bytes.len() <= 16).then_some(number)
}

/// A column of one type.
struct Typed<T: DataType, F> {
    reader: ColumnReaderImpl<T>,
    about: ColumnDescPtr,
    convert: F,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<T::T>,
    /// Levels that were decoded, and those of them and of the values that were taken.
    decoded: usize,
    taken: usize,
    taken_values: usize,
}

fn typed<T: DataType, F>(reader: ColumnReaderImpl<T>, about: ColumnDescPtr, convert: F) -> Box<dyn Leaf>
where
    F: Fn(&T::T) -> Result<Value, String> + 'static,
{
    Box::new(Typed {
        reader,
        about,
        convert,
        definitions: Vec::new(),
        repetitions: Vec::new(),
        values: Vec::new(),
        decoded: 0,
        taken: 0,
        taken_values: 0,
    })
}

impl<T: DataType, F: Fn(&T::T) -> Result<Value, String>> Leaf for Typed<T, F> {
    fn begin_row(&mut self) -> Result<(), String> {
        if self.taken < self.decoded {
            return Ok(());
        }
        self.definitions.clear();
        self.repetitions.clear();
        self.values.clear();
        let (definitions, repetitions) = (&mut self.definitions, &mut self.repetitions);
        let read = self.reader.read_records(ROWS, Some(definitions), Some(repetitions), &mut self.values);
        let (_, _, levels) = read.map_err(|error| said(&error))?;
        (self.decoded, self.taken, self.taken_values) = (levels, 0, 0);
        if levels == 0 { Err("it ends before the other columns".into()) } else { Ok(()) }
    }

    fn levels(&self) -> Option<Levels> {
        let level = |levels: &[i16], most: i16, absent: i16| {
            if most == 0 { Some(absent) } else { levels.get(self.taken).copied() }
        };
        if self.taken >= self.decoded {
            return None;
        }
        let definition = level(&self.definitions, self.about.max_def_level(), 0)?;
        Some((definition, level(&self.repetitions, self.about.max_rep_level(), 0)?))
    }

    fn take(&mut self) -> Result<Value, String> {
        let (definition, _) = self.levels().ok_or("it ends inside a row")?;
        self.taken += 1;
        if definition < self.about.max_def_level() {
            return Ok(Value::Null);
        }
        let value = self.values.get(self.taken_values).ok_or("it has fewer values than places")?;
        self.taken_values += 1;
        (self.convert)(value)
    }
}
