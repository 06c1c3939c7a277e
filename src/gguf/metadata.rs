//! The keys and values of a GGUF file, with getters that check type and range.

use super::array::{Array, StringArray};
use super::error::{GgufError, quote};
use super::value::Value;
use std::collections::HashMap;

/// Keys and values in file order.
///
/// Each getter gives `None` for a key that the file lacks, and an error that names the key if its value is of another
/// type or does not fit. Integers are accepted from any integer type, floats from either width.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    // The standard hasher, since keys come from strangers who may make them collide.
    index: HashMap<String, usize>,
}

impl Metadata {
    /// Adds a key; false if it is there already.
    pub(super) fn insert(&mut self, key: String, value: Value) -> bool {
        let fresh = self.index.insert(key.clone(), self.entries.len()).is_none();
        self.entries.push((key, value));
        fresh
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`, whatever its type.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.index.get(key).map(|&i| &self.entries[i].1)
    }

    /// Keys and values in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// An integer.
    ///
    /// # Errors
    /// [`GgufError::Value`] for another type or a value out of range; so for each getter below.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.integer(key, "an integer from 0 to 2^64 - 1")
    }

    /// An integer.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn usize(&self, key: &str) -> Result<Option<usize>, GgufError> {
        self.integer(key, "an integer that is a size")
    }

    /// An integer.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn u32(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.integer(key, "an integer from 0 to 2^32 - 1")
    }

    /// An integer.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn i64(&self, key: &str) -> Result<Option<i64>, GgufError> {
        self.integer(key, "an integer from -2^63 to 2^63 - 1")
    }

    /// A float; one of 64 bits is rounded.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn f32(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.read(key, "a 32-bit float", float)
    }

    /// A bool.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.read(key, "a bool", boolean)
    }

    /// Text.
    ///
    /// # Errors
    /// As [`Self::u64`]; also for text that is not UTF-8.
    pub fn str(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.read(key, "UTF-8 text", |value| match value {
            Value::String(text) => str::from_utf8(text).ok(),
            _ => None,
        })
    }

    /// An array of strings, not copied.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn strings(&self, key: &str) -> Result<Option<StringArray>, GgufError> {
        self.read(key, "an array of strings", |value| match value {
            Value::Array(Array::Strings(strings)) => Some(strings.clone()),
            _ => None,
        })
    }

    /// An array of integers.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn u32s(&self, key: &str) -> Result<Option<Vec<u32>>, GgufError> {
        self.array(key, "an array of integers from 0 to 2^32 - 1", integer)
    }

    /// An array of integers.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn i32s(&self, key: &str) -> Result<Option<Vec<i32>>, GgufError> {
        self.array(key, "an array of integers from -2^31 to 2^31 - 1", integer)
    }

    /// An array of floats.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>, GgufError> {
        self.array(key, "an array of 32-bit floats", float)
    }

    /// An array of bools.
    ///
    /// # Errors
    /// As [`Self::u64`].
    pub fn bools(&self, key: &str) -> Result<Option<Vec<bool>>, GgufError> {
        self.array(key, "an array of bools", boolean)
    }

    fn integer<T: TryFrom<i128>>(&self, key: &str, expected: &str) -> Result<Option<T>, GgufError> {
        self.read(key, expected, integer)
    }

    fn array<T>(
        &self,
        key: &str,
        expected: &str,
        each: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, GgufError> {
        self.read(key, expected, |value| match value {
            Value::Array(Array::Numbers(numbers)) => {
                let mut values = Vec::with_capacity(numbers.len());
                for number in numbers.iter() {
                    values.push(each(&number)?);
                }
                Some(values)
            }
            _ => None,
        })
    }

    /// The value of `key` as `convert` sees it; an error if that sees nothing in it.
    fn read<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match convert(value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(GgufError::Value { key: quote(key), found: describe(value), expected: expected.into() }),
        }
    }
}

fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    T::try_from(value.integer()?).ok()
}

fn float(value: &Value) -> Option<f32> {
    let wide = value.float()?;
    let narrow = wide as f32;
    (narrow.is_finite() || !wide.is_finite()).then_some(narrow)
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    }
}

/// Type and value for an error.
fn describe(value: &Value) -> String {
    match value {
        Value::Array(_) => format!("an {}", value.type_name()),
        Value::String(text) => format!("the string {}", quote(&String::from_utf8_lossy(text))),
        _ => format!("the {} `{value}`", value.type_name()),
    }
}
