//! A model on disk: its headers read, its weights not yet loaded.

use super::{Engine, OpenError, Pooling};
use crate::{
    backend::{BLOCK_LEN, Compute, DeviceInfo},
    gguf::{Gguf, file_type_name},
    model::{Safetensors, Source},
    sampling::SamplingParams,
    tensor::Bytes,
    text::{ChatTemplate, Tokenizer},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// The model inside the binary.
static DEMO: &[u8] = include_bytes!("../demo/demo.gguf");

/// An opened model and how it was asked for.
#[derive(Clone)]
pub struct ModelFiles {
    source: Source,
    reference: String,
    path: Option<PathBuf>,
    revision: Option<String>,
}

impl ModelFiles {
    /// The small model inside the binary.
    ///
    /// # Errors
    /// None, unless the binary was built around a damaged one.
    pub fn demo() -> Result<ModelFiles, OpenError> {
        let gguf = Gguf::from_bytes(Bytes::from_static(DEMO))?;
        Ok(ModelFiles { source: Source::Gguf(gguf), reference: "demo".into(), path: None, revision: None })
    }

    /// The model at `path`: a GGUF file, the first part of a split one, or a folder with safetensors.
    ///
    /// # Errors
    /// [`OpenError`] if it is not there, damaged or not a model.
    pub fn open(path: &Path) -> Result<ModelFiles, OpenError> {
        let source = match path.is_dir() {
            true => Source::Safetensors(Safetensors::open(path)?),
            false => Source::Gguf(Gguf::open(path)?),
        };
        let reference = path.display().to_string();
        Ok(ModelFiles { source, reference, path: Some(path.to_owned()), revision: None })
    }

    /// The same, remembering the reference that it was asked for by.
    pub fn with_reference(self, reference: String) -> ModelFiles {
        ModelFiles { reference, ..self }
    }

    /// The same, remembering the commit of its repository.
    pub fn with_revision(self, revision: String) -> ModelFiles {
        ModelFiles { revision: Some(revision), ..self }
    }

    /// How the model was asked for.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Where it is; `None` for the one inside the binary.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The commit of its repository on the Hub, where it has one.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Where its tensors come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The name of its quantization, such as `Q4_K_M`; `None` if it does not say.
    pub fn quantization(&self) -> Option<String> {
        match &self.source {
            Source::Gguf(gguf) => {
                let number = gguf.metadata().u32("general.file_type").ok().flatten()?;
                file_type_name(number).map(str::to_owned)
            }
            Source::Safetensors(_) => None,
        }
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// [`OpenError::Text`] if it has none or one that is damaged or not supported.
    pub fn tokenizer(&self) -> Result<Arc<Tokenizer>, OpenError> {
        Ok(Arc::new(match &self.source {
            Source::Gguf(gguf) => Tokenizer::from_gguf(gguf.metadata())?,
            Source::Safetensors(files) => super::folder::tokenizer(files.folder())?,
        }))
    }

    /// The source of its chat template; `None` if it has none.
    ///
    /// # Errors
    /// [`OpenError`] if the file that should have it is damaged.
    pub fn template_source(&self) -> Result<Option<String>, OpenError> {
        match &self.source {
            Source::Gguf(gguf) => Ok(gguf.metadata().str("tokenizer.chat_template")?.map(str::to_owned)),
            Source::Safetensors(files) => super::folder::template(files.folder()),
        }
    }

    /// Its chat template; `None` if it has none.
    ///
    /// # Errors
    /// [`OpenError::Template`] if it is malformed.
    pub fn template(&self, tokenizer: &Tokenizer) -> Result<Option<ChatTemplate>, OpenError> {
        let Some(source) = self.template_source()? else { return Ok(None) };
        let name = |token: Option<_>| token.map(|id| tokenizer.token_text(id)).unwrap_or_default();
        Ok(Some(ChatTemplate::new(&source, &name(tokenizer.bos()), &name(tokenizer.eos()))?))
    }

    /// The sampling that its makers recommend, over our defaults.
    ///
    /// # Errors
    /// [`OpenError`] if what it says is no number.
    pub fn sampling(&self) -> Result<SamplingParams, OpenError> {
        let defaults = SamplingParams::default();
        let metadata = match &self.source {
            Source::Gguf(gguf) => gguf.metadata(),
            Source::Safetensors(files) => return super::folder::sampling(files.folder(), defaults),
        };
        let float = |key: &str, default| Ok::<_, OpenError>(metadata.f32(&sampling_key(key))?.unwrap_or(default));
        Ok(SamplingParams {
            temperature: float("temp", defaults.temperature)?,
            top_k: metadata.usize(&sampling_key("top_k"))?.unwrap_or(defaults.top_k),
            top_p: float("top_p", defaults.top_p)?,
            min_p: float("min_p", defaults.min_p)?,
            repeat_penalty: float("penalty_repeat", defaults.repeat_penalty)?,
            ..defaults
        })
    }

    /// How its makers make vectors of texts with it; `None` if they do not say.
    ///
    /// # Errors
    /// [`OpenError`] if a file that should say it is damaged.
    pub fn pooling(&self) -> Result<Option<Pooling>, OpenError> {
        let metadata = match &self.source {
            Source::Gguf(gguf) => gguf.metadata(),
            Source::Safetensors(files) => return super::folder::pooling(files.folder()),
        };
        let architecture = metadata.str("general.architecture")?.unwrap_or_default();
        // llama.cpp's numbers; the others are of models that are no decoders.
        Ok(match metadata.u32(&format!("{architecture}.pooling_type"))? {
            Some(1) => Some(Pooling::Mean),
            Some(3) => Some(Pooling::Last),
            _ => None,
        })
    }

    /// Loads the weights for up to `n_parallel` requests at once, each of at most `n_ctx` positions or as many as the model
    /// was trained for, and with a cache of at most `cache_bytes` for all of them.
    ///
    /// # Errors
    /// As [`ModelFiles::load`].
    pub fn load_for_many(
        &self,
        compute: Compute,
        n_ctx: Option<usize>,
        (n_parallel, cache_bytes): (usize, u64),
        tokenizer: Arc<Tokenizer>,
    ) -> Result<Engine, OpenError> {
        let config = self.source.config()?;
        let block_bytes = compute.cache_type.unwrap_or_default().block_bytes(&config.cache()) as u64;
        let n_fitting = usize::try_from(cache_bytes / block_bytes).unwrap_or(usize::MAX).saturating_mul(BLOCK_LEN);
        let n_ctx = n_ctx.unwrap_or(config.n_ctx_train).min(n_fitting.max(1));
        let n_positions = n_ctx.saturating_mul(n_parallel).min(n_fitting.max(1));
        let model = self.source.load(compute, n_positions)?;
        Ok(Engine::new(model, tokenizer, n_ctx).with_parallel(n_parallel))
    }

    /// Loads the weights where `compute` says, for at most `n_ctx` positions or as many as the model was trained for.
    ///
    /// # Errors
    /// [`OpenError`] if the model is damaged or not supported, or the device is not there or has no room.
    pub fn load(&self, compute: Compute, n_ctx: Option<usize>, tokenizer: Arc<Tokenizer>) -> Result<Engine, OpenError> {
        let n_ctx = match n_ctx {
            Some(n_ctx) => n_ctx,
            None => self.source.config()?.n_ctx_train,
        };
        let started = Instant::now();
        let model = self.source.load(compute, n_ctx)?;
        let DeviceInfo { device, isa, n_threads } = model.device();
        let isa = isa.unwrap_or_default();
        tracing::info!(model = self.reference, device, isa, n_threads, n_ctx, took = ?started.elapsed(), "loaded");
        Ok(Engine::new(model, tokenizer, n_ctx))
    }
}

fn sampling_key(name: &str) -> String {
    format!("general.sampling.{name}")
}
