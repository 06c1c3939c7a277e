//! Reads numbers, strings and values from bytes that may lie about everything.

use super::array::{Array, Numbers, StringArray};
use super::error::{GgufError, quote};
use super::value::{Value, ValueType};
use crate::tensor::Bytes;

/// Arrays of arrays deeper than this serve nobody.
const MAX_DEPTH: usize = 4;
/// The specification's limit for keys; tensor names are far shorter.
const MAX_NAME_BYTES: usize = 65_535;
/// Nested arrays take more memory than bytes in the file; more than this serve nobody either.
const MAX_ARRAYS: usize = 1 << 20;
/// What a count may reserve before the things it counts have been seen.
const MAX_RESERVED: usize = 1 << 20;
/// A string array's offsets are 32 bits wide.
const MAX_STRING_ARRAY_BYTES: usize = u32::MAX as usize;

/// A position in a file's bytes, with what errors need to say where it stands.
pub(super) struct Cursor<'a> {
    bytes: &'a Bytes,
    pos: usize,
    origin: &'a str,
    n_arrays: usize,
    /// What is being read: `key `…``, `tensor `…``, or a part of the header.
    pub(super) item: String,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a Bytes, origin: &'a str) -> Cursor<'a> {
        Cursor { bytes, pos: 0, origin, n_arrays: 0, item: "the header".into() }
    }

    pub(super) fn position(&self) -> usize {
        self.pos
    }

    /// Bytes between here and the end of the file.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.pos
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> GgufError {
        GgufError::Malformed { origin: self.origin.into(), item: self.item.clone(), reason: reason.into() }
    }

    pub(super) fn truncated(&self, needs: impl Into<String>) -> GgufError {
        GgufError::Truncated {
            origin: self.origin.into(),
            len_bytes: self.bytes.len(),
            item: self.item.clone(),
            needs: needs.into(),
        }
    }

    /// The next `n` bytes.
    fn take(&mut self, n: usize) -> Result<&'a [u8], GgufError> {
        let bytes: &'a [u8] = self.bytes;
        let Some(taken) = self.pos.checked_add(n).and_then(|end| bytes.get(self.pos..end)) else {
            return Err(self.truncated(format!("needs {n} bytes from byte {} on", self.pos)));
        };
        self.pos += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things of at least `least_bytes` each, which must fit in the rest of the file.
    pub(super) fn count(&mut self, what: &str, least_bytes: usize) -> Result<usize, GgufError> {
        let count = self.u64()?;
        match usize::try_from(count) {
            Ok(n) if n <= self.left() / least_bytes => Ok(n),
            _ => Err(self.truncated(format!("needs room for {count} {what} from byte {} on", self.pos))),
        }
    }

    /// A key or tensor name.
    pub(super) fn name(&mut self) -> Result<String, GgufError> {
        let n = self.count("bytes of name", 1)?;
        if n > MAX_NAME_BYTES {
            return Err(self.malformed(format!("a name of {n} bytes, expected at most {MAX_NAME_BYTES}")));
        }
        match str::from_utf8(self.take(n)?) {
            Ok(name) => Ok(name.into()),
            Err(_) => Err(self.malformed("its name is not UTF-8")),
        }
    }

    /// The type of a value or of an array's elements.
    pub(super) fn value_type(&mut self) -> Result<ValueType, GgufError> {
        let id = self.u32()?;
        ValueType::from_id(id).ok_or_else(|| self.malformed(format!("the value type {id}, expected 0 to 12")))
    }

    /// A metadata value of type `kind`.
    pub(super) fn value(&mut self, kind: ValueType) -> Result<Value, GgufError> {
        Ok(match kind {
            ValueType::U8 => Value::U8(u8::from_le_bytes(self.array()?)),
            ValueType::I8 => Value::I8(i8::from_le_bytes(self.array()?)),
            ValueType::U16 => Value::U16(u16::from_le_bytes(self.array()?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(self.array()?)),
            ValueType::U32 => Value::U32(self.u32()?),
            ValueType::I32 => Value::I32(i32::from_le_bytes(self.array()?)),
            ValueType::U64 => Value::U64(self.u64()?),
            ValueType::I64 => Value::I64(i64::from_le_bytes(self.array()?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(self.array()?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(self.array()?)),
            ValueType::Bool => Value::Bool(self.bools(1)?[0] == 1),
            ValueType::String => {
                let n = self.count("bytes of text", 1)?;
                Value::String(self.slice(n)?)
            }
            ValueType::Array => Value::Array(self.value_array(MAX_DEPTH)?),
        })
    }

    fn value_array(&mut self, depth: usize) -> Result<Array, GgufError> {
        if depth == 0 {
            return Err(self.malformed(format!("arrays nested deeper than {MAX_DEPTH}")));
        }
        let kind = self.value_type()?;
        Ok(match kind {
            ValueType::String => Array::Strings(self.string_array()?),
            ValueType::Array => {
                let n = self.count("arrays", kind.size_bytes())?;
                self.n_arrays += n;
                if self.n_arrays > MAX_ARRAYS {
                    return Err(self.malformed(format!("more than {MAX_ARRAYS} nested arrays")));
                }
                Array::Arrays((0..n).map(|_| self.value_array(depth - 1)).collect::<Result<_, _>>()?)
            }
            _ => {
                let size = kind.size_bytes();
                let n = self.count("numbers", size)?;
                let numbers = Numbers::new(kind, self.slice(n * size)?);
                if kind == ValueType::Bool {
                    self.pos -= n;
                    self.bools(n)?;
                }
                Array::Numbers(numbers)
            }
        })
    }

    /// `n` bytes that must be 0 or 1.
    fn bools(&mut self, n: usize) -> Result<&'a [u8], GgufError> {
        let bytes = self.take(n)?;
        match bytes.iter().find(|&&byte| byte > 1) {
            Some(byte) => Err(self.malformed(format!("a bool of value {byte}, expected 0 or 1"))),
            None => Ok(bytes),
        }
    }

    fn slice(&mut self, n: usize) -> Result<Bytes, GgufError> {
        let start = self.pos;
        self.take(n)?;
        Ok(self.bytes.slice(start..self.pos).expect("just taken"))
    }

    /// Notes where each string ends, in one pass, without looking at the text: vocabularies have 300,000 of them.
    fn string_array(&mut self) -> Result<StringArray, GgufError> {
        let n = self.count("strings", 8)?;
        let rest: &[u8] = &self.bytes[self.pos..];
        let mut ends = Vec::with_capacity(n.min(MAX_RESERVED));
        let mut end = 0usize;
        for i in 0..n {
            let next = rest[end..].split_first_chunk().and_then(|(len, text)| {
                let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
                (len <= text.len()).then_some(end + 8 + len)
            });
            end = match next {
                Some(next) if next <= MAX_STRING_ARRAY_BYTES => next,
                Some(_) => return Err(self.malformed("an array with more than 4 GiB of strings")),
                None => {
                    return Err(
                        self.truncated(format!("needs {n} strings, number {i} from byte {} on", self.pos + end))
                    );
                }
            };
            ends.push(end as u32);
        }
        Ok(StringArray::new(self.slice(end)?, ends))
    }

    /// What is read next, for errors: `kind` and its quoted name.
    pub(super) fn now_reading(&mut self, kind: &str, name: &str) {
        self.item = format!("{kind} {}", quote(name));
    }
}
