//! Thrift's compact protocol, read by a declared form.
//!
//! The parquet library reads the fields that it knows by their declared types, whatever types the file
//! states. A file could therefore show one content here and another one there, if the stated types were
//! followed. Known fields must have their declared types, and the others are skipped by their stated ones, as
//! the library does.

/// Names the type of a field.
pub(crate) enum Type {
    Bool,
    I8,
    I32,
    I64,
    Bytes,
    Struct(Form),
    Structs(Form),
}

/// Lists the fields of a struct that are known, by their numbers.
pub(crate) type Form = &'static [(i16, Type)];

/// A struct without fields.
pub(crate) const EMPTY: Type = Type::Struct(&[]);

/// Levels of unknown fields at most.
const DEPTH: usize = 32;

/// Holds a number or truth value of a struct, or marks the end of one.
pub(crate) enum Said {
    Number(i64),
    End,
}

/// Reads bytes in order.
pub(crate) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Says why a place can't be read: the bytes end there, or are something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Ends,
    Wrong,
}

type Tried<T> = Result<T, Broken>;

impl<'a> Compact<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the bytes that were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Tried<u8> {
        let byte = *self.bytes.get(self.at).ok_or(Broken::Ends)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, bytes: u64) -> Tried<()> {
        let left = (self.bytes.len() - self.at) as u64;
        if bytes > left {
            return Err(Broken::Ends);
        }
        self.at += bytes as usize;
        Ok(())
    }

    /// Returns a number of seven bits a byte, the lowest first.
    pub(crate) fn varint(&mut self) -> Tried<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                return Err(Broken::Wrong);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken::Wrong)
    }

    fn signed(&mut self, bits: u32) -> Tried<i64> {
        let number = self.varint()?;
        let number = (number >> 1) as i64 ^ -((number & 1) as i64);
        let most = i64::MAX >> (64 - bits);
        if (-most - 1..=most).contains(&number) { Ok(number) } else { Err(Broken::Wrong) }
    }

    /// Returns the stated type and the number of the next field; none at the end of the struct.
    fn field(&mut self, last: i16) -> Tried<Option<(u8, i16)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        let number = match head >> 4 {
            0 => self.signed(16)? as i16,
            more => last.checked_add(i16::from(more)).ok_or(Broken::Wrong)?,
        };
        Ok(Some((head & 15, number)))
    }

    /// Returns the type and the number of a list's elements. Each has a byte at least.
    fn list(&mut self) -> Tried<(u8, u64)> {
        let head = self.byte()?;
        let elements = match head >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        if elements > (self.bytes.len() - self.at) as u64 {
            Err(Broken::Ends)
        } else {
            Ok((head & 15, elements))
        }
    }

    /// Reads a struct and tells its numbers and ends, and those of the structs in it.
    pub(crate) fn read(
        &mut self,
        form: Form,
        place: &mut Vec<i16>,
        tell: &mut dyn FnMut(&[i16], Said) -> Tried<()>,
    ) -> Tried<()> {
        let mut last = 0;
        while let Some((stated, number)) = self.field(last)? {
            last = number;
            place.push(number);
            match form.iter().find(|(known, _)| *known == number) {
                None => self.skip(stated, DEPTH)?,
                Some((_, declared)) => self.known(stated, declared, place, tell)?,
            }
            place.pop();
        }
        tell(place, Said::End)
    }

    /// Reads the next field of a struct, which has to be the expected one.
    pub(crate) fn one(
        &mut self,
        form: Form,
        expected: i16,
        tell: &mut dyn FnMut(&[i16], Said) -> Tried<()>,
    ) -> Tried<()> {
        let found = self.field(expected - 1)?;
        let declared = form.iter().find(|(known, _)| *known == expected);
        match (found, declared) {
            (Some((stated, number)), Some((_, declared))) if number == expected => {
                self.known(stated, declared, &mut vec![number], tell)
            }
            _ => Err(Broken::Wrong),
        }
    }

    fn known(
        &mut self,
        stated: u8,
        declared: &Type,
        place: &mut Vec<i16>,
        tell: &mut dyn FnMut(&[i16], Said) -> Tried<()>,
    ) -> Tried<()> {
        match (declared, stated) {
            (Type::Bool, 1 | 2) => tell(place, Said::Number(i64::from(stated == 1))),
            (Type::I8, 3) => self.pass(1),
            (Type::I32, 5) => {
                let number = self.signed(32)?;
                tell(place, Said::Number(number))
            }
            (Type::I64, 6) => {
                let number = self.signed(64)?;
                tell(place, Said::Number(number))
            }
            (Type::Bytes, 8) => {
                let bytes = self.varint()?;
                self.pass(bytes)
            }
            (Type::Struct(form), 12) => self.read(form, place, tell),
            (Type::Structs(form), 9) => {
                let (kind, elements) = self.list()?;
                if kind != 12 {
                    return Err(Broken::Wrong);
                }
                (0..elements).try_for_each(|_| self.read(form, place, tell))
            }
            _ => Err(Broken::Wrong),
        }
    }

    fn skip(&mut self, stated: u8, depth: usize) -> Tried<()> {
        let deeper = depth.checked_sub(1).ok_or(Broken::Wrong)?;
        match stated {
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let bytes = self.varint()?;
                self.pass(bytes)
            }
            9 | 10 => {
                let (kind, elements) = self.list()?;
                (0..elements).try_for_each(|_| self.element(kind, deeper))
            }
            11 => {
                let elements = self.varint()?;
                if elements == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                (0..elements).try_for_each(|_| {
                    self.element(kinds >> 4, deeper)?;
                    self.element(kinds & 15, deeper)
                })
            }
            12 => {
                let mut last = 0;
                while let Some((stated, number)) = self.field(last)? {
                    last = number;
                    self.skip(stated, deeper)?;
                }
                Ok(())
            }
            _ => Err(Broken::Wrong),
        }
    }

    /// Skips an element of a list, where a truth value has a byte.
    fn element(&mut self, kind: u8, depth: usize) -> Tried<()> {
        if matches!(kind, 1 | 2) { self.pass(1) } else { self.skip(kind, depth) }
    }
}
