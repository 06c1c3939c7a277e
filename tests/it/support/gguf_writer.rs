//! Writes small GGUF files, right ones and wrong ones.

use taper::tensor::Dtype;

/// A GGUF file in the making; what is not set is as the specification has it by default.
#[derive(Clone)]
pub(crate) struct GgufBuilder {
    version: u32,
    alignment: usize,
    n_entries: u64,
    entries: Vec<u8>,
    tensors: Vec<(String, u32, Vec<u64>, Vec<u8>)>,
}

impl GgufBuilder {
    /// A file of version 3 with nothing in it.
    pub(crate) fn new() -> GgufBuilder {
        GgufBuilder { version: 3, alignment: 32, n_entries: 0, entries: Vec::new(), tensors: Vec::new() }
    }

    pub(crate) fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Aligns tensors to `alignment` bytes and says so in the metadata.
    pub(crate) fn alignment(mut self, alignment: u32) -> Self {
        self.alignment = alignment as usize;
        self.u32("general.alignment", alignment)
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub(crate) fn i32(self, key: &str, value: i32) -> Self {
        self.raw(key, 5, &value.to_le_bytes())
    }

    pub(crate) fn u64(self, key: &str, value: u64) -> Self {
        self.raw(key, 10, &value.to_le_bytes())
    }

    pub(crate) fn u16(self, key: &str, value: u16) -> Self {
        self.raw(key, 2, &value.to_le_bytes())
    }

    pub(crate) fn f32(self, key: &str, value: f32) -> Self {
        self.raw(key, 6, &value.to_le_bytes())
    }

    pub(crate) fn bool(self, key: &str, value: bool) -> Self {
        self.raw(key, 7, &[value.into()])
    }

    pub(crate) fn string(self, key: &str, value: &str) -> Self {
        self.raw(key, 8, &text(value.as_bytes()))
    }

    pub(crate) fn strings<T: AsRef<[u8]>>(self, key: &str, values: &[T]) -> Self {
        let elements: Vec<u8> = values.iter().flat_map(|value| text(value.as_ref())).collect();
        self.raw(key, 9, &array(8, values.len(), &elements))
    }

    pub(crate) fn i32s(self, key: &str, values: &[i32]) -> Self {
        let elements: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(key, 9, &array(5, values.len(), &elements))
    }

    pub(crate) fn f32s(self, key: &str, values: &[f32]) -> Self {
        let elements: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw(key, 9, &array(6, values.len(), &elements))
    }

    /// A value of GGUF's type number `kind` whose bytes are `value`, right or wrong.
    pub(crate) fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.n_entries += 1;
        self.entries.extend(text(key.as_bytes()));
        self.entries.extend(kind.to_le_bytes());
        self.entries.extend(value);
        self
    }

    /// A tensor with `shape` from the outermost dimension to the innermost, as everywhere but in the file.
    pub(crate) fn tensor(self, name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Self {
        let sizes: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
        self.raw_tensor(name, dtype.ggml_id(), &sizes, data)
    }

    /// A tensor of GGML's type number `kind`, right or wrong.
    pub(crate) fn raw_tensor(mut self, name: &str, kind: u32, shape: &[u64], data: &[u8]) -> Self {
        self.tensors.push((name.into(), kind, shape.into(), data.into()));
        self
    }

    /// The bytes of the file.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend(self.n_entries.to_le_bytes());
        file.extend(&self.entries);
        let mut data = Vec::new();
        for (name, kind, shape, bytes) in &self.tensors {
            file.extend(text(name.as_bytes()));
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|size| file.extend(size.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            self.pad(&mut data);
        }
        self.pad(&mut file);
        file.extend(data);
        file
    }

    fn pad(&self, bytes: &mut Vec<u8>) {
        bytes.resize(bytes.len().next_multiple_of(self.alignment.max(1)), 0);
    }
}

/// Text after its length.
pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

/// An array of `n` elements of type number `kind` whose bytes are `elements`.
pub(crate) fn array(kind: u32, n: usize, elements: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(n as u64).to_le_bytes(), elements].concat()
}
