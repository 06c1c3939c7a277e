//! An open model: one GGUF file, or the parts of a split one.

use super::error::{GgufError, quote};
use super::header::{self, Header};
use super::metadata::Metadata;
use super::shards::{self, Place};
use super::tensor_info::TensorInfo;
use crate::tensor::{Bytes, Dtype, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, fs::File, io};

/// An open GGUF model. Cloning it is cheap, and what it hands out keeps the file mapped.
#[derive(Clone, Debug)]
pub struct Gguf {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    version: u32,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    // The standard hasher, since names come from strangers who may make them collide.
    index: HashMap<String, usize>,
    parts: Vec<Bytes>,
    paths: Vec<PathBuf>,
}

impl Gguf {
    /// Maps the model at `path`; of a split model that is the first part, and the others lie beside it.
    ///
    /// # Errors
    /// Any [`GgufError`] but that of a tensor's type, which matters only once the tensor is asked for.
    pub fn open(path: &Path) -> Result<Gguf, GgufError> {
        let origin = format!("`{}`", path.display());
        let bytes = map(path)?;
        let header = header::parse(&bytes, &origin, 0)?;
        let place = Place::of(&header.metadata, &origin)?;
        if place.number != 0 {
            let reason = format!("is part {} of {}\nhint: give the first part", place.number + 1, place.count);
            return Err(GgufError::Split { origin, reason });
        }
        let mut model = Inner::start(header, bytes, Some(path.to_owned()), &origin)?;
        if place.count > 1 {
            for number in 1..place.count {
                model.append(&shards::path_of(number, place.count, path)?, place.count)?;
            }
            model.check_tensor_count(&origin)?;
        }
        Ok(Gguf { inner: Arc::new(model) })
    }

    /// Reads a model that is in memory already.
    ///
    /// # Errors
    /// As [`Self::open`]; also for a part of a split model.
    pub fn from_bytes(bytes: Bytes) -> Result<Gguf, GgufError> {
        let origin = "the model in memory";
        let header = header::parse(&bytes, origin, 0)?;
        let place = Place::of(&header.metadata, origin)?;
        if place != (Place { number: 0, count: 1 }) {
            let reason = format!("is part {} of {}, expected a whole model", place.number + 1, place.count);
            return Err(GgufError::Split { origin: origin.into(), reason });
        }
        Ok(Gguf { inner: Arc::new(Inner::start(header, bytes, None, origin)?) })
    }

    /// The metadata; of a split model, that of the first part.
    pub fn metadata(&self) -> &Metadata {
        &self.inner.metadata
    }

    /// What the file says about each tensor, in file order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.inner.tensors.iter()
    }

    /// What the file says about the tensor `name`; `None` if there is none.
    pub fn tensor_info(&self, name: &str) -> Option<&TensorInfo> {
        self.inner.index.get(name).map(|&i| &self.inner.tensors[i])
    }

    /// The tensor `name`, not copied; `None` if there is none.
    ///
    /// # Errors
    /// [`GgufError::TensorType`] if taper does not compute with its type.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, GgufError> {
        let Some(info) = self.tensor_info(name) else { return Ok(None) };
        let (Some(dtype), Some(n_bytes)) = (info.dtype(), info.n_bytes) else {
            let supported = Dtype::all().map(Dtype::name).collect::<Vec<_>>().join(", ");
            return Err(GgufError::TensorType { name: quote(name), found: info.type_name(), supported });
        };
        let part = &self.inner.parts[info.part];
        let data = part.slice(info.offset..info.offset + n_bytes).expect("checked when the header was read");
        Ok(Some(Tensor { name: info.name.clone(), dtype, shape: info.shape.clone(), data }))
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.inner.version
    }

    /// The files, in order; none for a model in memory.
    pub fn paths(&self) -> &[PathBuf] {
        &self.inner.paths
    }

    /// The bytes of each file, in order.
    pub fn parts(&self) -> &[Bytes] {
        &self.inner.parts
    }

    /// The size of all files together, in bytes.
    pub fn len_bytes(&self) -> usize {
        self.inner.parts.iter().map(|part| part.len()).sum()
    }
}

impl Inner {
    fn start(header: Header, bytes: Bytes, path: Option<PathBuf>, origin: &str) -> Result<Inner, GgufError> {
        let mut model = Inner {
            version: header.version,
            metadata: header.metadata,
            tensors: Vec::new(),
            index: HashMap::new(),
            parts: vec![bytes],
            paths: path.into_iter().collect(),
        };
        model.add_tensors(header.tensors, origin)?;
        Ok(model)
    }

    /// Adds the part at `path`, which must say that it is the next of `count`.
    fn append(&mut self, path: &Path, count: usize) -> Result<(), GgufError> {
        let expected = Place { number: self.parts.len(), count };
        let bytes = map(path).map_err(|error| match error {
            GgufError::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
                GgufError::MissingPart { path, number: expected.number + 1, count }
            }
            other => other,
        })?;
        let origin = format!("`{}`", path.display());
        let header = header::parse(&bytes, &origin, expected.number)?;
        let found = Place::of(&header.metadata, &origin)?;
        if found != expected {
            let (number, count) = (found.number + 1, found.count);
            let reason = format!("is part {number} of {count}, expected {} of {}", expected.number + 1, expected.count);
            return Err(GgufError::Split { origin, reason });
        }
        self.parts.push(bytes);
        self.paths.push(path.to_owned());
        self.add_tensors(header.tensors, &origin)
    }

    fn add_tensors(&mut self, tensors: Vec<TensorInfo>, origin: &str) -> Result<(), GgufError> {
        for tensor in tensors {
            if self.index.insert(tensor.name.clone(), self.tensors.len()).is_some() {
                let item = format!("tensor {}", quote(&tensor.name));
                return Err(GgufError::Malformed { origin: origin.into(), item, reason: "it is there twice".into() });
            }
            self.tensors.push(tensor);
        }
        Ok(())
    }

    fn check_tensor_count(&self, origin: &str) -> Result<(), GgufError> {
        match self.metadata.usize("split.tensors.count")? {
            Some(expected) if expected != self.tensors.len() => {
                let reason = format!("and its other parts hold {} tensors, expected {expected}", self.tensors.len());
                Err(GgufError::Split { origin: origin.into(), reason })
            }
            _ => Ok(()),
        }
    }
}

fn map(path: &Path) -> Result<Bytes, GgufError> {
    let failed = |source| GgufError::Io { path: path.to_owned(), source };
    // Before it is opened, since opening a pipe waits for its writer.
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(failed(io::Error::other("not a regular file, which alone can be mapped")));
    }
    Bytes::map(&File::open(path).map_err(failed)?).map_err(failed)
}
