//! Metadata values; text and arrays stay where they are in the file.

use crate::tensor::Bytes;
use std::{fmt, sync::Arc};

/// The type of a metadata value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

/// By number in the specification: the type, its name, and the bytes of a value (for text and arrays, the fewest).
const TYPES: [(ValueType, &str, usize); 13] = [
    (ValueType::U8, "u8", 1),
    (ValueType::I8, "i8", 1),
    (ValueType::U16, "u16", 2),
    (ValueType::I16, "i16", 2),
    (ValueType::U32, "u32", 4),
    (ValueType::I32, "i32", 4),
    (ValueType::F32, "f32", 4),
    (ValueType::Bool, "bool", 1),
    (ValueType::String, "string", 8),
    (ValueType::Array, "array", 12),
    (ValueType::U64, "u64", 8),
    (ValueType::I64, "i64", 8),
    (ValueType::F64, "f64", 8),
];

impl ValueType {
    pub(super) fn from_id(id: u32) -> Option<ValueType> {
        TYPES.get(usize::try_from(id).ok()?).map(|row| row.0)
    }

    pub(super) fn size_bytes(self) -> usize {
        TYPES[self as usize].2
    }

    /// The name, such as `u32` or `string`.
    pub fn name(self) -> &'static str {
        TYPES[self as usize].1
    }
}

/// A metadata value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    /// Text, which should be UTF-8 and may not be.
    String(Bytes),
    Array(Array),
}

impl Value {
    /// The value, if it is of an integer type.
    pub fn integer(&self) -> Option<i128> {
        Some(match *self {
            Value::U8(v) => v.into(),
            Value::I8(v) => v.into(),
            Value::U16(v) => v.into(),
            Value::I16(v) => v.into(),
            Value::U32(v) => v.into(),
            Value::I32(v) => v.into(),
            Value::U64(v) => v.into(),
            Value::I64(v) => v.into(),
            _ => return None,
        })
    }

    /// The value, if it is of a floating point type.
    pub fn float(&self) -> Option<f64> {
        match *self {
            Value::F32(v) => Some(v.into()),
            Value::F64(v) => Some(v),
            _ => None,
        }
    }

    /// The name of the type, such as `u32` or `array of 4 strings`.
    pub fn type_name(&self) -> String {
        let kind = match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F32(_) => ValueType::F32,
            Value::F64(_) => ValueType::F64,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Array(array) => return format!("array of {} {}", array.len(), array.element_type().name()),
        };
        kind.name().into()
    }
}

/// The value as people read it: text as it is (replacing what is not UTF-8), of an array the first few elements.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(v) => write!(f, "{v}"),
            Value::String(text) => f.write_str(&String::from_utf8_lossy(text)),
            Value::Array(array) => write!(f, "{array}"),
            Value::F32(v) => write!(f, "{v}"),
            Value::F64(v) => write!(f, "{v}"),
            other => write!(f, "{}", other.integer().unwrap_or_default()),
        }
    }
}

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
    let mut wide = [0; 8];
    wide[..chunk.len()].copy_from_slice(chunk);
    let bits = u64::from_le_bytes(wide);
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

    fn range(&self, i: usize) -> Option<std::ops::Range<usize>> {
        let end = *self.ends.get(i)? as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        Some(start + 8..end)
    }
}
