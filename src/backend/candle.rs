//! The operations on candle tensors: CUDA and Metal, and on the CPU the reference that tests compare with.

use super::{
    Activation, AttentionShape, Backend, BackendError, CacheShape, DeviceInfo, GatedFfn, Heads, Layout, Linear, Norm,
    Pairing, Place, Rope, Span, layout::BLOCK_LEN,
};
use crate::{
    TokenId, kernels,
    tensor::{Dtype, Tensor},
};
use candle_core::{
    D, DType, Device, Module, Tensor as Array,
    quantized::{GgmlDType, QMatMul, QStorage, QTensor},
};
use std::borrow::Cow;

/// candle on one device.
pub struct Candle {
    device: Device,
    name: String,
}

/// Activations on the device.
#[derive(Default)]
pub struct Rows(Option<Array>);

/// Cosines and sines, each (n_rows, head_dim / 2).
#[derive(Default)]
pub struct Rotation {
    cos: Rows,
    sin: Rows,
}

/// Keys and values of each layer: (n_kv_heads, n_cells, head_dim).
pub struct Cache(Vec<(Array, Array)>);

type Result<T> = std::result::Result<T, BackendError>;

impl From<candle_core::Error> for BackendError {
    fn from(error: candle_core::Error) -> BackendError {
        let text = error.to_string().lines().next().unwrap_or_default().to_owned();
        if text.to_ascii_lowercase().contains("out of memory") || text.contains("OUT_OF_MEMORY") {
            return BackendError::OutOfMemory { device: "gpu".into(), reason: text };
        }
        BackendError::Device(text)
    }
}

impl Candle {
    /// candle on the CPU.
    pub fn cpu() -> Candle {
        Candle { device: Device::Cpu, name: "cpu".into() }
    }

    /// candle on the CUDA device with this number.
    ///
    /// # Errors
    /// [`BackendError::NoDevice`] if there is none or this build lacks CUDA.
    pub fn cuda(ordinal: usize) -> Result<Candle> {
        let name = format!("cuda:{ordinal}");
        let device = Device::new_cuda(ordinal).map_err(|error| no_device(&name, &error))?;
        Ok(Candle { device, name })
    }

    /// candle on the Metal device.
    ///
    /// # Errors
    /// [`BackendError::NoDevice`] if there is none or this build lacks Metal.
    pub fn metal() -> Result<Candle> {
        let device = Device::new_metal(0).map_err(|error| no_device("metal", &error))?;
        Ok(Candle { device, name: "metal".into() })
    }

    fn host_rows(&self, data: Vec<f32>, n_rows: usize) -> Result<Array> {
        let width = data.len() / n_rows.max(1);
        Ok(Array::from_vec(data, (n_rows, width), &self.device)?)
    }
}

fn no_device(name: &str, error: &candle_core::Error) -> BackendError {
    let reason = error.to_string().lines().next().unwrap_or_default().to_owned();
    BackendError::NoDevice { device: name.to_owned(), reason }
}

impl Rows {
    fn get(&self) -> Result<&Array> {
        self.0.as_ref().ok_or_else(|| BackendError::Device("an operation reads rows that none has written".into()))
    }

    fn set(&mut self, array: Array) {
        self.0 = Some(array);
    }
}

impl Backend for Candle {
    type Rows = Rows;
    type Matrix = QMatMul;
    type Vector = Array;
    type Rotation = Rotation;
    type Cache = Cache;

    fn device(&self) -> DeviceInfo {
        let n_threads = if self.device.is_cpu() { candle_core::utils::get_num_threads() } else { 1 };
        DeviceInfo { device: self.name.clone(), isa: None, n_threads }
    }

    fn matrix(&self, tensor: &Tensor) -> Result<QMatMul> {
        let storage = QStorage::from_data(aligned(&tensor.data), &self.device, ggml_dtype(tensor.dtype))?;
        Ok(QMatMul::from_qtensor(QTensor::new(storage, tensor.shape.as_slice())?)?)
    }

    fn vector(&self, tensor: &Tensor) -> Result<Array> {
        let mut values = vec![0.0; tensor.len()];
        kernels::dequantize(tensor.dtype, &tensor.data, &mut values);
        Ok(Array::from_vec(values, tensor.len(), &self.device)?)
    }

    fn cache(&self, shape: &CacheShape, n_blocks: usize) -> Result<Cache> {
        let dims = (shape.n_kv_heads, n_blocks * BLOCK_LEN, shape.head_dim);
        let zeros = || Array::zeros(dims, DType::F32, &self.device);
        let layers = (0..shape.n_layers).map(|_| Ok((zeros()?, zeros()?))).collect::<Result<_>>()?;
        Ok(Cache(layers))
    }

    fn grow(&self, cache: &mut Cache, n_blocks: usize) -> Result<()> {
        for (k, v) in &mut cache.0 {
            for array in [k, v] {
                let (n_heads, n_cells, head_dim) = array.dims3()?;
                let more = (n_heads, n_blocks * BLOCK_LEN - n_cells, head_dim);
                *array = Array::cat(&[&*array, &Array::zeros(more, DType::F32, &self.device)?], 1)?;
            }
        }
        Ok(())
    }

    fn rotation(&mut self, rope: &Rope, layout: &Layout, out: &mut Rotation) -> Result<()> {
        let angles = || layout.positions().flat_map(|pos| rope.frequencies.iter().map(move |f| pos as f32 * f));
        let cos = angles().map(|angle| angle.cos() * rope.magnitude).collect();
        let sin = angles().map(|angle| angle.sin() * rope.magnitude).collect();
        out.cos.set(self.host_rows(cos, layout.cells.len())?);
        out.sin.set(self.host_rows(sin, layout.cells.len())?);
        Ok(())
    }

    fn embed(&mut self, table: &Tensor, tokens: &[TokenId], out: &mut Rows) -> Result<()> {
        let d_model = table.shape[1];
        let row_bytes = table.data.len() / table.shape[0];
        let mut values = vec![0.0; tokens.len() * d_model];
        for (row, &token) in values.chunks_exact_mut(d_model).zip(tokens) {
            let start = token as usize * row_bytes;
            kernels::dequantize(table.dtype, &table.data[start..start + row_bytes], row);
        }
        out.set(self.host_rows(values, tokens.len())?);
        Ok(())
    }

    fn project(&mut self, x: &Rows, norm: &Norm<Self>, outputs: &mut [(&Linear<Self>, &mut Rows)]) -> Result<()> {
        let x = normalize(x.get()?, norm)?;
        for (linear, out) in outputs {
            out.set(apply(linear, &x)?);
        }
        Ok(())
    }

    fn project_add(&mut self, x: &Rows, linear: &Linear<Self>, residual: &mut Rows) -> Result<()> {
        let sum = (residual.get()? + apply(linear, x.get()?)?)?;
        residual.set(sum);
        Ok(())
    }

    fn store(&mut self, heads: Heads<'_, Self>, place: &Place<'_, Self>, cache: &mut Cache) -> Result<()> {
        let AttentionShape { n_heads, n_kv_heads, head_dim, .. } = place.shape;
        let q = by_head(heads.q.get()?, n_heads, head_dim)?;
        heads.q.set(rotate(&q, heads.q_norm, place)?);
        let k = rotate(&by_head(heads.k.get()?, n_kv_heads, head_dim)?, heads.k_norm, place)?;
        let v = by_head(heads.v.get()?, n_kv_heads, head_dim)?;
        let (keys, values) = &cache.0[place.layer];
        for (start, len) in runs(place.layout) {
            let cell = place.layout.cells[start];
            keys.slice_set(&k.narrow(1, start, len)?.contiguous()?, 1, cell)?;
            values.slice_set(&v.narrow(1, start, len)?.contiguous()?, 1, cell)?;
        }
        Ok(())
    }

    fn attend(&mut self, q: &Rows, place: &Place<'_, Self>, cache: &Cache, out: &mut Rows) -> Result<()> {
        let (keys, values) = &cache.0[place.layer];
        let mut spans = Vec::with_capacity(place.layout.spans.len());
        for span in &place.layout.spans {
            let q = q.get()?.narrow(1, span.rows.start, span.rows.len())?;
            let (keys, values) = (seen(keys, place.layout, span)?, seen(values, place.layout, span)?);
            spans.push(attend_span(&q, &keys, &values, span, place.shape)?);
        }
        out.set(Array::cat(&spans, 0)?);
        Ok(())
    }

    fn gated_ffn(&mut self, ffn: &GatedFfn<Self>, residual: &mut Rows) -> Result<()> {
        let x = normalize(residual.get()?, &ffn.norm)?;
        let gate = match ffn.activation {
            Activation::Silu => apply(&ffn.gate, &x)?.silu()?,
        };
        let down = apply(&ffn.down, &(gate * apply(&ffn.up, &x)?)?)?;
        let sum = (residual.get()? + down)?;
        residual.set(sum);
        Ok(())
    }

    fn logits(
        &mut self,
        x: &Rows,
        wanted: &[usize],
        norm: &Norm<Self>,
        head: &Linear<Self>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        out.clear();
        if wanted.is_empty() {
            return Ok(());
        }
        out.extend(apply(head, &normalize(&pick(x, wanted)?, norm)?)?.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    fn hidden(&mut self, x: &Rows, wanted: &[usize], norm: &Norm<Self>, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        if !wanted.is_empty() {
            out.extend(normalize(&pick(x, wanted)?, norm)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }
}

/// candle panics on blocks that do not lie as their type is aligned, so those are copied.
fn aligned(data: &[u8]) -> Cow<'_, [u8]> {
    const STRICTEST: usize = align_of::<f32>();
    if data.as_ptr().addr().is_multiple_of(STRICTEST) {
        return Cow::Borrowed(data);
    }
    // The allocator aligns what is as large as a tensor to more than 4 bytes.
    Cow::Owned(data.to_vec())
}

fn ggml_dtype(dtype: Dtype) -> GgmlDType {
    match dtype {
        Dtype::F32 => GgmlDType::F32,
        Dtype::F16 => GgmlDType::F16,
        Dtype::BF16 => GgmlDType::BF16,
        Dtype::Q4_0 => GgmlDType::Q4_0,
        Dtype::Q4_1 => GgmlDType::Q4_1,
        Dtype::Q5_0 => GgmlDType::Q5_0,
        Dtype::Q5_1 => GgmlDType::Q5_1,
        Dtype::Q8_0 => GgmlDType::Q8_0,
        Dtype::Q2_K => GgmlDType::Q2K,
        Dtype::Q3_K => GgmlDType::Q3K,
        Dtype::Q4_K => GgmlDType::Q4K,
        Dtype::Q5_K => GgmlDType::Q5K,
        Dtype::Q6_K => GgmlDType::Q6K,
    }
}

/// The rows `wanted` of `x`, of which there are some.
fn pick(x: &Rows, wanted: &[usize]) -> Result<Array> {
    let x = x.get()?;
    let rows: Vec<u32> = wanted.iter().map(|&row| row as u32).collect();
    Ok(x.index_select(&Array::from_vec(rows, wanted.len(), x.device())?, 0)?)
}

fn normalize(x: &Array, norm: &Norm<Candle>) -> Result<Array> {
    Ok(candle_nn::ops::rms_norm(&x.contiguous()?, &norm.weight, norm.eps)?)
}

fn apply(linear: &Linear<Candle>, x: &Array) -> Result<Array> {
    let y = linear.weight.forward(x)?;
    Ok(match &linear.bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}

/// (n_rows, n_heads × head_dim) to (n_heads, n_rows, head_dim).
fn by_head(x: &Array, n_heads: usize, head_dim: usize) -> Result<Array> {
    let n_rows = x.dim(0)?;
    Ok(x.reshape((n_rows, n_heads, head_dim))?.transpose(0, 1)?.contiguous()?)
}

/// Norm and rope of x (n_heads, n_rows, head_dim).
fn rotate(x: &Array, norm: Option<&Norm<Candle>>, place: &Place<'_, Candle>) -> Result<Array> {
    let x = match norm {
        Some(norm) => normalize(x, norm)?,
        None => x.clone(),
    };
    let (cos, sin) = (place.rotation.cos.get()?, place.rotation.sin.get()?);
    let x = x.unsqueeze(0)?;
    let turned = match place.pairing {
        Pairing::Adjacent => candle_nn::rotary_emb::rope_i(&x, cos, sin)?,
        Pairing::Halves => candle_nn::rotary_emb::rope(&x, cos, sin)?,
    };
    Ok(turned.squeeze(0)?)
}

/// The rows of a batch cut where the cells that they write do not follow one another: (first row, rows).
fn runs(layout: &Layout) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (row, &cell) in layout.cells.iter().enumerate() {
        match runs.last_mut() {
            Some((start, len)) if layout.cells[*start] + *len == cell => *len += 1,
            _ => runs.push((row, 1)),
        }
    }
    runs
}

/// What a span sees of `cached` (n_kv_heads, n_cells, head_dim): (n_kv_heads, n_seen, head_dim).
fn seen(cached: &Array, layout: &Layout, span: &Span) -> Result<Array> {
    if let Some(first) = layout.contiguous_from(span) {
        return Ok(cached.narrow(1, first, span.n_seen())?);
    }
    let cells: Vec<u32> = (0..span.n_seen()).map(|pos| layout.cell(span, pos) as u32).collect();
    let cells = Array::from_vec(cells, span.n_seen(), cached.device())?;
    Ok(cached.index_select(&cells, 1)?)
}

/// Attention of q (n_heads, n_rows, head_dim) over keys and values (n_kv_heads, n_seen, head_dim):
/// (n_rows, n_heads × head_dim).
fn attend_span(q: &Array, k: &Array, v: &Array, span: &Span, shape: AttentionShape) -> Result<Array> {
    let AttentionShape { n_heads, n_kv_heads, head_dim, scale, window } = shape;
    let (n_rows, n_seen, group) = (span.rows.len(), span.n_seen(), n_heads / n_kv_heads);
    // The query heads that share keys become rows of one product.
    let q = (q.contiguous()?.reshape((n_kv_heads, group * n_rows, head_dim))? * scale as f64)?;
    let mut scores = q.matmul(&k.t()?)?;
    if n_rows > 1 || window.is_some_and(|window| window < n_seen) {
        let mask = causal_mask(span, window, q.device())?;
        let by_row = scores.reshape((n_kv_heads * group, n_rows, n_seen))?.broadcast_add(&mask)?;
        scores = by_row.reshape((n_kv_heads, group * n_rows, n_seen))?;
    }
    let weights = candle_nn::ops::softmax_last_dim(&scores)?;
    let out = weights.matmul(v)?.reshape((n_heads, n_rows, head_dim))?;
    Ok(out.transpose(0, 1)?.flatten_from(D::Minus2)?)
}

/// 0 where a row of the span sees a position, else minus infinity: (n_rows, n_seen).
fn causal_mask(span: &Span, window: Option<usize>, device: &Device) -> Result<Array> {
    let (n_rows, n_seen) = (span.rows.len(), span.n_seen());
    let values = (span.first_pos..n_seen).flat_map(|row| {
        let first = window.map_or(0, |window| (row + 1).saturating_sub(window));
        (0..n_seen).map(move |pos| if (first..=row).contains(&pos) { 0.0 } else { f32::NEG_INFINITY })
    });
    Ok(Array::from_vec(values.collect::<Vec<f32>>(), (n_rows, n_seen), device)?)
}
