//! The header of a page.

use parquet::basic::Encoding;

use crate::table::guard::DAMAGED;
use crate::table::thrift::{Compact, EMPTY, Form, Said, Type};

const STATISTICS: Type = Type::Struct(&[
    (1, Type::Bytes),
    (2, Type::Bytes),
    (3, Type::I64),
    (4, Type::I64),
    (5, Type::Bytes),
    (6, Type::Bytes),
    (7, Type::Bool),
    (8, Type::Bool),
    (9, Type::I64),
]);
const DATA: i16 = 5;
const DICTIONARY: i16 = 7;
const DATA_V2: i16 = 8;
const HEADER: Form = &[
    (1, Type::I32),
    (2, Type::I32),
    (3, Type::I32),
    (4, Type::I32),
    (DATA, Type::Struct(&[(1, Type::I32), (2, Type::I32), (3, Type::I32), (4, Type::I32), (5, STATISTICS)])),
    (6, EMPTY),
    (DICTIONARY, Type::Struct(&[(1, Type::I32), (2, Type::I32), (3, Type::Bool)])),
    (
        DATA_V2,
        Type::Struct(&[
            (1, Type::I32),
            (2, Type::I32),
            (3, Type::I32),
            (4, Type::I32),
            (5, Type::I32),
            (6, Type::I32),
            (7, Type::Bool),
            (8, STATISTICS),
        ]),
    ),
];

/// Holds the statements of a page about itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    /// Its own length.
    pub(super) bytes: usize,
    /// Bytes of the page in the file, and unpacked.
    pub(super) stored: usize,
    pub(super) size: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Dictionary {
        values: u32,
        encoding: Encoding,
    },
    /// Levels stand in the unpacked page, each after its length.
    Data {
        values: u32,
        encoding: Encoding,
        definition: Encoding,
        repetition: Encoding,
    },
    /// Levels stand before the packed part.
    DataV2 {
        values: u32,
        nulls: u32,
        rows: u32,
        encoding: Encoding,
        definition: u32,
        repetition: u32,
        packed: bool,
    },
    /// An index, which is of no interest.
    Other,
}

impl Header {
    /// Reads the header at the start of these bytes.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let damaged = || DAMAGED.to_string();
        let mut compact = Compact::new(bytes);
        let (mut top, mut inner) = ([None; 4], [[None; 8]; 4]);
        let mut tell = |place: &[i16], said: Said| {
            match (place, said) {
                ([field @ 1..=3], Said::Number(number)) => top[*field as usize] = Some(number),
                ([kind @ DATA..=DATA_V2, field @ 1..=7], Said::Number(number)) => {
                    inner[(*kind - DATA) as usize][*field as usize] = Some(number);
                }
                _ => {}
            }
            Ok(())
        };
        compact.read(HEADER, &mut Vec::new(), &mut tell).map_err(|_| damaged())?;
        let size = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        let of = |kind: i16, field: usize| inner[(kind - DATA) as usize][field];
        let count = |kind, field| of(kind, field).and_then(|number| u32::try_from(number).ok());
        let encoding = |kind, field| of(kind, field).and_then(encoding);
        let kind = match top[1] {
            Some(0) => (|| {
                Some(Kind::Data {
                    values: count(DATA, 1)?,
                    encoding: encoding(DATA, 2)?,
                    definition: encoding(DATA, 3)?,
                    repetition: encoding(DATA, 4)?,
                })
            })(),
            Some(1) => Some(Kind::Other),
            Some(2) => (|| {
                Some(Kind::Dictionary { values: count(DICTIONARY, 1)?, encoding: encoding(DICTIONARY, 2)? })
            })(),
            Some(3) => (|| {
                Some(Kind::DataV2 {
                    values: count(DATA_V2, 1)?,
                    nulls: count(DATA_V2, 2)?,
                    rows: count(DATA_V2, 3)?,
                    encoding: encoding(DATA_V2, 4)?,
                    definition: count(DATA_V2, 5)?,
                    repetition: count(DATA_V2, 6)?,
                    packed: of(DATA_V2, 7) != Some(0),
                })
            })(),
            _ => None,
        };
        let (Some(size), Some(stored), Some(kind)) = (size(top[2]), size(top[3]), kind) else {
            return Err(damaged());
        };
        Ok(Self { bytes: compact.at(), stored, size, kind })
    }
}

fn encoding(number: i64) -> Option<Encoding> {
    Some(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        #[allow(deprecated)]
        4 => Encoding::BIT_PACKED,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => return None,
    })
}
