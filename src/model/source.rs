//! Where a model's configuration and tensors come from.

use super::{Config, ModelError, Safetensors};
use crate::{gguf::Gguf, tensor::Tensor};

/// An opened model: a GGUF file or a folder of safetensors.
#[derive(Clone)]
pub enum Source {
    /// A GGUF file with all of its parts.
    Gguf(Gguf),
    /// A folder with config.json and safetensors.
    Safetensors(Safetensors),
}

impl Source {
    /// The numbers and switches of the model.
    ///
    /// # Errors
    /// [`ModelError`] when the architecture is not supported or the configuration is wrong.
    pub fn config(&self) -> Result<Config, ModelError> {
        match self {
            Source::Gguf(gguf) => Config::from_gguf(gguf.metadata()),
            Source::Safetensors(files) => {
                let path = files.folder().join("config.json");
                let text = std::fs::read_to_string(&path).map_err(|error| ModelError::Io { path, error })?;
                Config::from_json(&text)
            }
        }
    }

    /// The tensor that GGUF calls `name`; `None` if the model has none.
    ///
    /// # Errors
    /// [`ModelError`] when it is damaged or of a type that taper does not compute with.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        match self {
            Source::Gguf(gguf) => Ok(gguf.tensor(name)?),
            Source::Safetensors(files) => files.tensor(name),
        }
    }

    /// All tensors with the names that GGUF gives them, none copied.
    ///
    /// # Errors
    /// [`ModelError`] when one is damaged or of a type that taper does not compute with.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>, ModelError> {
        let named = |name: String| Ok(self.tensor(&name)?.map(|tensor| (name, tensor)));
        self.names().into_iter().filter_map(|name| named(name).transpose()).collect()
    }

    /// The names of all tensors, as GGUF has them.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Source::Gguf(gguf) => gguf.tensors().map(|tensor| tensor.name.clone()).collect(),
            Source::Safetensors(files) => files.names().collect(),
        }
    }
}
