//! The wire format of protocol buffers: keys, and what follows them.

use std::fmt;

/// Reads the fields of one message.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// The value of a field.
pub(super) enum Value<'a> {
    /// A varint, or a number of 32 or 64 bits.
    Number(u64),
    /// Text, bytes, packed numbers or a message.
    Bytes(&'a [u8]),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    Truncated,
    LongVarint,
    WireType(u8),
    FieldNumber(u64),
    Text,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Truncated => f.write_str("a file that ends within a field"),
            Malformed::LongVarint => f.write_str("a number of more than 64 bits"),
            Malformed::WireType(wire_type) => write!(f, "a field of wire type {wire_type}"),
            Malformed::FieldNumber(number) => write!(f, "a field of number {number}"),
            Malformed::Text => f.write_str("a name that is not UTF-8"),
        }
    }
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Number and value of the next field; None at the end.
    pub fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.is_at_end() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        // 29 bits; 0 is none.
        let number = u32::try_from(number).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed::FieldNumber(key >> 3))?;
        let value = match (key & 7) as u8 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Number(u32::from_le_bytes(self.array()?).into()),
            // Groups, which ONNX never had, and what does not exist.
            wire_type => return Err(Malformed::WireType(wire_type)),
        };
        Ok(Some((number, value)))
    }

    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                // The tenth byte has room for one bit.
                return if shift == 63 && byte > 1 { Err(Malformed::LongVarint) } else { Ok(value) };
            }
        }
        Err(Malformed::LongVarint)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N).map(|bytes| bytes.try_into().expect("N bytes were taken"))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}
