//! The forward pass, written once for every architecture and every device.

use super::{Batch, Config, Forward, ModelError, SequenceId, Source, pages::Pages, weights::Layer, weights::Weights};
use crate::{
    TokenId,
    backend::{Backend, DeviceInfo, Heads, Layout, Place},
};

/// A decoder-only transformer on one device, with the cache of its sequences.
pub struct Transformer<B: Backend> {
    config: Config,
    backend: B,
    weights: Weights<B>,
    pages: Pages,
    /// Made for the first batch, with as many blocks as `pages` says then.
    cache: Option<B::Cache>,
    /// Blocks that `cache` has room for.
    n_blocks: usize,
    step: Step<B::Rotation>,
    buffers: Buffers<B::Rows>,
}

/// What the layers have to know about the batch under way; kept, so that a token allocates nothing.
#[derive(Default)]
struct Step<R> {
    tokens: Vec<TokenId>,
    layout: Layout,
    /// Every layer turns its heads by the same angles.
    rotation: R,
    /// Rows whose logits are wanted.
    wanted: Vec<usize>,
}

/// Activations of the batch under way.
#[derive(Default)]
struct Buffers<R> {
    /// The residual stream, (n_rows, d_model).
    x: R,
    /// (n_rows, n_heads × head_dim)
    q: R,
    /// (n_rows, n_kv_heads × head_dim)
    k: R,
    /// (n_rows, n_kv_heads × head_dim)
    v: R,
    /// What attention gives, (n_rows, n_heads × head_dim).
    attended: R,
}

impl<B: Backend> Transformer<B> {
    /// Loads a model for at most `n_ctx` positions over all sequences.
    ///
    /// # Errors
    /// [`ModelError`] when the model is damaged or not supported, or the device has no room for it.
    pub fn load(source: &Source, backend: B, n_ctx: usize) -> Result<Transformer<B>, ModelError> {
        let config = source.config()?;
        let weights = Weights::load(source, &config, &backend)?;
        let pages = Pages::new(n_ctx);
        let (step, buffers) = (Step::default(), Buffers::default());
        Ok(Transformer { config, backend, weights, pages, cache: None, n_blocks: 0, step, buffers })
    }

    /// Gives the cache as many blocks as the pages have handed out.
    fn make_room(&mut self) -> Result<(), ModelError> {
        let n_blocks = self.pages.n_blocks();
        match &mut self.cache {
            None => self.cache = Some(self.backend.cache(&self.config.cache(), n_blocks)?),
            Some(cache) if n_blocks > self.n_blocks => self.backend.grow(cache, n_blocks)?,
            Some(_) => {}
        }
        self.n_blocks = n_blocks;
        Ok(())
    }

    fn check(&self, batch: &Batch) -> Result<(), ModelError> {
        let n_vocab = self.n_vocab();
        match batch.rows.iter().find(|row| row.token as usize >= n_vocab) {
            Some(row) => Err(ModelError::NoSuchToken { token: row.token, n_vocab }),
            None => Ok(()),
        }
    }

    fn pass(&mut self, batch: &Batch, logits: &mut Vec<f32>) -> Result<(), ModelError> {
        let Transformer { config, backend, weights, step, buffers, .. } = self;
        let cache = self.cache.as_mut().expect("`make_room` has made it");
        let Step { tokens, layout, rotation, wanted } = step;
        tokens.clear();
        tokens.extend(batch.rows.iter().map(|row| row.token));
        backend.embed(&weights.embedding, tokens, &mut buffers.x)?;

        backend.rotation(&weights.rope, layout, rotation)?;
        let pairing = weights.rope.pairing;
        for (i, layer) in weights.layers.iter().enumerate() {
            let place = Place { layer: i, shape: config.attention(i), pairing, rotation, layout };
            run_layer(backend, layer, &place, cache, buffers)?;
        }

        // Logits, of the rows that want them only: the head is a large part of a small model.
        wanted.clear();
        wanted.extend(batch.rows.iter().enumerate().filter(|(_, row)| row.wants_logits).map(|(i, _)| i));
        Ok(backend.logits(&buffers.x, wanted, &weights.norm, &weights.head, logits)?)
    }
}

/// One layer: attention, then the feed-forward network, each added to the residual stream.
fn run_layer<B: Backend>(
    backend: &mut B,
    layer: &Layer<B>,
    place: &Place<'_, B>,
    cache: &mut B::Cache,
    buffers: &mut Buffers<B::Rows>,
) -> Result<(), ModelError> {
    let Buffers { x, q, k, v, attended } = buffers;
    // Queries, keys and values of the normalized stream.
    backend.project(x, &layer.norm, &mut [(&layer.q, &mut *q), (&layer.k, &mut *k), (&layer.v, &mut *v)])?;

    // Head norms and rope; keys and values go to the cache.
    let (q_norm, k_norm) = (layer.q_norm.as_ref(), layer.k_norm.as_ref());
    backend.store(Heads { q, k, v, q_norm, k_norm }, place, cache)?;

    // Each row attends to its sequence up to itself.
    backend.attend(q, place, cache, attended)?;
    backend.project_add(attended, &layer.output, x)?;

    // The feed-forward network with its norm.
    backend.gated_ffn(&layer.ffn, x)?;
    Ok(())
}

impl<B: Backend> Forward for Transformer<B> {
    fn forward(&mut self, batch: &Batch, logits: &mut Vec<f32>) -> Result<(), ModelError> {
        logits.clear();
        if batch.rows.is_empty() {
            return Ok(());
        }
        self.check(batch)?;
        self.pages.place(batch, &mut self.step.layout)?;
        self.make_room()?;
        self.pass(batch, logits)
    }

    fn hidden(&mut self, rows: &[usize], out: &mut Vec<f32>) -> Result<(), ModelError> {
        let Transformer { backend, weights, buffers, .. } = self;
        Ok(backend.hidden(&buffers.x, rows, &weights.norm, out)?)
    }

    fn len(&self, sequence: SequenceId) -> usize {
        self.pages.len(sequence)
    }

    fn truncate(&mut self, sequence: SequenceId, len: usize) -> usize {
        self.pages.truncate(sequence, len)
    }

    fn fork(&mut self, from: SequenceId, to: SequenceId, len: usize) -> usize {
        self.pages.fork(from, to, len)
    }

    fn n_free(&self) -> usize {
        self.pages.n_free()
    }

    fn n_positions(&self) -> usize {
        self.pages.n_positions()
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn n_vocab(&self) -> usize {
        self.weights.embedding.shape[0]
    }

    fn device(&self) -> DeviceInfo {
        self.backend.device()
    }
}
