//! Metadata arrays, whose elements stay where they are in the file.

use super::value::{Value, ValueType};
use crate::tensor::Bytes;
use std::{fmt, ops::Range, sync::Arc};

/// A metadata array.
#[derive(Clone, Debug)]
pub enum Array {
    /// Of numbers or bools.
    Numbers(Numbers),
    /// Of text.
    Strings(StringArray),
    /// Of arrays.
    Arrays(Vec<Array>),
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Array::Numbers(numbers) => numbers.len(),
            Array::Strings(strings) => strings.len(),
            Array::Arrays(arrays) => arrays.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of each element.
    pub fn element_type(&self) -> ValueType {
        match self {
            Array::Numbers(numbers) => numbers.kind,
            Array::Strings(_) => ValueType::String,
            Array::Arrays(_) => ValueType::Array,
        }
    }

    /// The elements as values, in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = Value> + '_> {
        match self {
            Array::Numbers(numbers) => Box::new(numbers.iter()),
            Array::Strings(strings) => Box::new((0..strings.len()).filter_map(|i| strings.bytes(i)).map(Value::String)),
            Array::Arrays(arrays) => Box::new(arrays.iter().cloned().map(Value::Array)),
        }
    }
}

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        f.write_str("[")?;
        for (i, value) in self.iter().take(SHOWN).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match value {
                Value::String(text) => write!(f, "{comma}{:?}", String::from_utf8_lossy(&text))?,
                other => write!(f, "{comma}{other}")?,
            }
        }
        if self.len() > SHOWN {
            write!(f, ", … {} in all", self.len())?;
        }
        f.write_str("]")
    }
}

/// An array of numbers or bools, decoded as it is read.
#[derive(Clone, Debug)]
pub struct Numbers {
    kind: ValueType,
    bytes: Bytes,
}

impl Numbers {
    /// `bytes` are whole elements of `kind`, which is neither text nor an array.
    pub(super) fn new(kind: ValueType, bytes: Bytes) -> Numbers {
        debug_assert_eq!(bytes.len() % kind.size_bytes(), 0);
        Numbers { kind, bytes }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.kind.size_bytes()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value> + '_ {
        self.bytes.chunks_exact(self.kind.size_bytes()).map(|chunk| decode(self.kind, chunk))
    }
}

/// The number of type `kind` whose little-endian bytes `chunk` holds.
fn decode(kind: ValueType, chunk: &[u8]) -> Value {
    let bits = chunk.iter().rev().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
    match kind {
        ValueType::U8 => Value::U8(bits as u8),
        ValueType::I8 => Value::I8(bits as i8),
        ValueType::U16 => Value::U16(bits as u16),
        ValueType::I16 => Value::I16(bits as i16),
        ValueType::U32 => Value::U32(bits as u32),
        ValueType::I32 => Value::I32(bits as i32),
        ValueType::I64 => Value::I64(bits as i64),
        ValueType::F32 => Value::F32(f32::from_bits(bits as u32)),
        ValueType::F64 => Value::F64(f64::from_bits(bits)),
        ValueType::Bool => Value::Bool(bits == 1),
        ValueType::U64 | ValueType::String | ValueType::Array => Value::U64(bits),
    }
}

/// An array of strings that stay in the file; cloning it copies nothing, and it keeps the file mapped.
#[derive(Clone, Debug)]
pub struct StringArray {
    /// Each string after its length in 8 bytes.
    bytes: Bytes,
    /// Where in `bytes` each string ends, ascending.
    ends: Arc<Vec<u32>>,
}

impl StringArray {
    pub(super) fn new(bytes: Bytes, ends: Vec<u32>) -> StringArray {
        StringArray { bytes, ends: Arc::new(ends) }
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// String `i`, which should be UTF-8 and may not be; `None` past the end.
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        self.bytes.get(self.range(i)?)
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        let bytes: &[u8] = &self.bytes;
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &bytes[start + 8..end as usize];
            start = end as usize;
            text
        })
    }

    fn bytes(&self, i: usize) -> Option<Bytes> {
        self.bytes.slice(self.range(i)?)
    }

    fn range(&self, i: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(i)? as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        Some(start + 8..end)
    }
}
