//! Checks the statements of a parquet file about itself before the parquet library reads them: that library
//! asks for memory by these numbers, and follows the schema to any depth.

use crate::limits::{COLUMNS, DEPTH, FOOTER};
use crate::table::thrift::{Compact, EMPTY, Form, Said, Type};

const UNIT: Type = Type::Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const TIME: Type = Type::Struct(&[(1, Type::Bool), (2, UNIT)]);
/// The union of logical types.
const LOGICAL: Form = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Type::Struct(&[(1, Type::I32), (2, Type::I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Type::Struct(&[(1, Type::I8), (2, Type::Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Type::Struct(&[(1, Type::I8)])),
    (17, Type::Struct(&[(1, Type::Bytes)])),
    (18, Type::Struct(&[(1, Type::Bytes), (2, Type::I32)])),
    (19, EMPTY),
];
const CHILDREN: i16 = 5;
const ELEMENT: Form = &[
    (1, Type::I32),
    (2, Type::I32),
    (3, Type::I32),
    (4, Type::Bytes),
    (CHILDREN, Type::I32),
    (6, Type::I32),
    (7, Type::I32),
    (8, Type::I32),
    (9, Type::I32),
    (10, Type::Struct(LOGICAL)),
];
const SCHEMA: i16 = 2;
/// The beginning of a file's description; the library bounds the rest by itself.
const DESCRIPTION: Form = &[(1, Type::I32), (SCHEMA, Type::Structs(ELEMENT))];

pub(super) const DAMAGED: &str = "the parquet file is damaged or cut short; hint: write or download it again";

/// Checks the description at the end of a file: its length, and the size and depth of the schema.
pub(super) fn description(bytes: &[u8]) -> Result<(), String> {
    let damaged = || DAMAGED.to_string();
    let (rest, magic) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if magic == b"PARE" {
        return Err("the parquet file is encrypted; hint: write it without a key".into());
    }
    let (rest, length) = rest.split_last_chunk::<4>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    if magic != b"PAR1" || length > rest.len() {
        return Err(damaged());
    }
    if length > FOOTER {
        let limit = FOOTER >> 20;
        return Err(format!(
            "its description has {length} bytes, more than {limit} MiB; hint: divide the file"
        ));
    }
    schema(&rest[rest.len() - length..])
}

/// Checks the schema, which has to be the second field: after others it could be hidden.
fn schema(bytes: &[u8]) -> Result<(), String> {
    let (mut children, mut groups) = (0, Vec::new());
    let mut compact = Compact::new(bytes);
    let mut tell = |place: &[i16], said: Said| {
        match (place, said) {
            ([SCHEMA, CHILDREN], Said::Number(number)) => children = number,
            ([SCHEMA], Said::End) => {
                groups.push(children);
                children = 0;
            }
            _ => {}
        }
        Ok(())
    };
    let read = [1, SCHEMA].into_iter().try_for_each(|field| compact.one(DESCRIPTION, field, &mut tell));
    read.map_err(|_| DAMAGED.to_string())?;
    if groups.len() > 4 * COLUMNS {
        return Err(format!("it has {} columns and groups; hint: keep fewer columns", groups.len()));
    }
    let mut open: Vec<i64> = Vec::new();
    for &children in &groups {
        if !(0..=groups.len() as i64).contains(&children) {
            return Err(DAMAGED.into());
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        if children > 0 {
            open.push(children);
        }
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > DEPTH {
            return Err(format!("its columns have more than {DEPTH} levels; hint: keep fewer columns"));
        }
    }
    Ok(())
}
