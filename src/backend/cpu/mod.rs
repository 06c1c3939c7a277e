//! The operations on the CPU, with our own kernels on the weights as the file has them.
//!
//! Every element of a result is computed by one thread in one order, and from its own row alone. So the bits are the same
//! for any number of threads, and for a token alone, in a batch, or in any chunk of a prompt.

mod cache;
mod cores;
mod crew;
mod products;
mod rope;
mod rows;

pub use cache::CacheType;
pub use cores::default_threads;

use super::{
    Activation, Backend, BackendError, CacheShape, DeviceInfo, GatedFfn, Heads, Layout, Linear, Norm, Place, Rope,
};
use crate::{
    TokenId,
    kernels::{self, Columns, Cut, Form, Isa, Queries, Weights, vector},
    tensor::Tensor,
};
use cache::{Cache, KeysAndValues, Writer};
use crew::{Crew, ROWS_PER_PIECE};
use products::{Input, Prepared, add};
use rope::{Rotation, Turn};
use rows::Rows;
use std::array;

/// Query vectors that a thread takes through the cache together: so many share the unpacking of a block.
const QUERIES_PER_TILE: usize = 64;

/// The CPU.
#[derive(Debug)]
pub struct Cpu {
    crew: Crew,
    cache_type: CacheType,
    prepared: Prepared,
    writer: Writer,
    /// Where attention cuts the rows of the batch.
    cuts: Vec<usize>,
    /// The gate of a feed-forward network, (n_rows, d_ff), and then what goes down.
    gate: Rows,
    /// (n_rows, d_ff)
    up: Rows,
    /// What is about to be added to the residual stream, (n_rows, d_model).
    change: Rows,
}

/// A stored matrix (n_out, n_in), where it is stored.
#[derive(Debug)]
pub struct Matrix(Tensor);

impl Matrix {
    fn weights(&self) -> Weights<'_> {
        let shape = (self.0.shape[0], self.0.shape[1]);
        Weights::new(self.0.dtype, shape, &self.0.data).expect("`Cpu::matrix` has checked it")
    }

    fn form(&self) -> Form {
        Form::of(self.0.dtype)
    }

    fn n_out(&self) -> usize {
        self.0.shape[0]
    }
}

type Result<T> = std::result::Result<T, BackendError>;

impl Cpu {
    /// The CPU with `n_threads` threads, at least one, the calling one included. [`default_threads`] is a good number.
    ///
    /// # Errors
    /// [`BackendError::Device`] when the operating system gives no more threads.
    pub fn new(n_threads: usize) -> Result<Cpu> {
        Cpu::with(Isa::detect(), n_threads, CacheType::default())
    }

    /// The CPU with an instruction set and a type of cache other than the usual.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with(isa: Isa, n_threads: usize, cache_type: CacheType) -> Result<Cpu> {
        let crew = Crew::new(isa, n_threads);
        let crew = crew.map_err(|error| BackendError::Device(format!("cannot start {n_threads} threads: {error}")))?;
        Ok(Cpu {
            crew,
            cache_type,
            prepared: Prepared::default(),
            writer: Writer::default(),
            cuts: Vec::new(),
            gate: Rows::default(),
            up: Rows::default(),
            change: Rows::default(),
        })
    }

    /// `residual` += `linear` of what is prepared.
    fn add_product(&mut self, linear: &Linear<Cpu>, residual: &mut Rows) {
        let Cpu { crew, prepared, change, .. } = self;
        let (isa, n_rows) = (crew.isa, prepared.n_rows());
        change.reshape(n_rows, residual.width());
        crew.columns(&mut [[change.columns(), residual.columns()]], |desk, tile| {
            let [mut change, mut residual] = tile.columns;
            prepared.multiply(isa, desk, linear, &mut change);
            (0..n_rows).for_each(|row| add(residual.row(row), change.row(row)));
        });
    }
}

impl Backend for Cpu {
    type Rows = Rows;
    type Matrix = Matrix;
    type Vector = Vec<f32>;
    type Rotation = Rotation;
    type Cache = Cache;

    fn device(&self) -> DeviceInfo {
        DeviceInfo { device: "cpu".into(), isa: Some(self.crew.isa.name()), n_threads: self.crew.pool.n_threads() }
    }

    fn matrix(&self, tensor: &Tensor) -> Result<Matrix> {
        let shape = match tensor.shape.as_slice() {
            &[n_out, n_in] => Weights::new(tensor.dtype, (n_out, n_in), &tensor.data),
            _ => None,
        };
        match shape {
            Some(_) => Ok(Matrix(tensor.clone())),
            None => Err(BackendError::Device(format!("`{}` is not a matrix of whole blocks", tensor.name))),
        }
    }

    fn vector(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let mut values = vec![0.0; tensor.len()];
        kernels::dequantize(tensor.dtype, &tensor.data, &mut values);
        Ok(values)
    }

    fn cache(&self, shape: &CacheShape, n_blocks: usize) -> Result<Cache> {
        let mut cache = Cache::new(*shape, self.cache_type);
        cache.grow(n_blocks);
        Ok(cache)
    }

    fn grow(&self, cache: &mut Cache, n_blocks: usize) -> Result<()> {
        cache.grow(n_blocks);
        Ok(())
    }

    fn rotation(&mut self, rope: &Rope, layout: &Layout, out: &mut Rotation) -> Result<()> {
        out.fill(rope, layout);
        Ok(())
    }

    fn embed(&mut self, table: &Tensor, tokens: &[TokenId], out: &mut Rows) -> Result<()> {
        let d_model = table.shape[1];
        let row_bytes = table.data.len() / table.shape[0];
        out.reshape(tokens.len(), d_model);
        self.crew.pool.pieces(out.data_mut(), ROWS_PER_PIECE * d_model, |_, first, rows| {
            for (row, &token) in rows.chunks_exact_mut(d_model).zip(&tokens[first / d_model..]) {
                let start = token as usize * row_bytes;
                kernels::dequantize(table.dtype, &table.data[start..start + row_bytes], row);
            }
        });
        Ok(())
    }

    fn project(&mut self, x: &Rows, norm: &Norm<Cpu>, outputs: &mut [(&Linear<Cpu>, &mut Rows)]) -> Result<()> {
        let Cpu { crew, prepared, .. } = self;
        let input = Input { norm: Some(norm), ..Input::all(x) };
        prepared.prepare(crew, input, outputs.iter().map(|(linear, _)| &linear.weight));
        let isa = crew.isa;
        // In threes, as queries, keys and values come.
        for outputs in outputs.chunks_mut(3) {
            let mut linears = [None; 3];
            let mut rest = outputs.iter_mut().zip(&mut linears);
            let mut groups = array::from_fn::<_, 3, _>(|_| match rest.next() {
                Some(((linear, out), slot)) => {
                    *slot = Some(*linear);
                    [out.reshape(x.n_rows(), linear.weight.n_out()).columns()]
                }
                None => [Columns::new(&mut [], 0)],
            });
            crew.columns(&mut groups, |desk, mut tile| {
                let linear = linears[tile.group].expect("a group without a map has no columns");
                prepared.multiply(isa, desk, linear, &mut tile.columns[0]);
            });
        }
        Ok(())
    }

    fn project_add(&mut self, x: &Rows, linear: &Linear<Cpu>, residual: &mut Rows) -> Result<()> {
        self.prepared.prepare(&mut self.crew, Input::all(x), [&linear.weight].into_iter());
        self.add_product(linear, residual);
        Ok(())
    }

    fn store(&mut self, heads: Heads<'_, Cpu>, place: &Place<'_, Cpu>, cache: &mut Cache) -> Result<()> {
        let Cpu { crew, writer, .. } = self;
        let turn = |norm| Turn { norm, pairing: place.pairing, rotation: place.rotation };
        let keys = turn(heads.k_norm);
        let from = KeysAndValues { layer: place.layer, keys: heads.k, values: heads.v, turn: keys };
        writer.write(crew, place.layout, &from, cache);

        let (isa, width, head_dim) = (crew.isa, heads.q.width(), place.shape.head_dim);
        let queries = turn(heads.q_norm);
        let (pool, desks) = crew.split();
        pool.pieces(heads.q.data_mut(), ROWS_PER_PIECE * width, |thread, first, rows| {
            let spare = &mut desks.of(thread).spare;
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                let heads = row.chunks_exact_mut(head_dim);
                heads.for_each(|head| queries.apply(isa, first / width + i, head, spare));
            }
        });
        Ok(())
    }

    fn attend(&mut self, q: &Rows, place: &Place<'_, Cpu>, cache: &Cache, out: &mut Rows) -> Result<()> {
        let (shape, layout) = (place.shape, place.layout);
        let group = shape.n_heads / shape.n_kv_heads;
        let Cpu { crew, cuts, .. } = self;
        cuts.clear();
        for span in &layout.spans {
            cuts.extend(span.rows.clone().step_by((QUERIES_PER_TILE / group).max(1)));
        }
        cuts.push(q.n_rows());
        let (isa, width) = (crew.isa, q.width());
        let (pool, desks) = crew.split();
        let cut = Cut { rows: cuts, n_columns: group * shape.head_dim };
        pool.tiles(&mut [[out.reshape(q.n_rows(), width).columns()]], cut, |thread, tile| {
            let span = &layout.spans[layout.spans.partition_point(|span| span.rows.end <= tile.rows.start)];
            let [out] = tile.columns;
            let queries = Queries {
                data: &q.data()[tile.rows.start * width..tile.rows.end * width],
                stride: width,
                columns: out.range(),
                head_dim: shape.head_dim,
                first_pos: span.first_pos + tile.rows.start - span.rows.start,
                window: shape.window,
                scale: shape.scale,
            };
            let kv_head = out.range().start / out.range().len();
            let blocks = layout.blocks(span);
            let cells = |block: usize| cache.cells(place.layer, kv_head, blocks[block]);
            desks.of(thread).attention.attend(isa, &queries, cells, out);
        });
        Ok(())
    }

    fn gated_ffn(&mut self, ffn: &GatedFfn<Cpu>, residual: &mut Rows) -> Result<()> {
        let Cpu { crew, prepared, gate, up, .. } = self;
        let (isa, n_rows, d_ff) = (crew.isa, residual.n_rows(), ffn.gate.weight.n_out());
        let input = Input { norm: Some(&ffn.norm), ..Input::all(residual) };
        prepared.prepare(crew, input, [&ffn.gate.weight, &ffn.up.weight].into_iter());
        let gated = match ffn.activation {
            Activation::Silu => vector::gated_silu,
        };
        let mut halves = [[gate.reshape(n_rows, d_ff).columns(), up.reshape(n_rows, d_ff).columns()]];
        crew.columns(&mut halves, |desk, tile| {
            let [mut gate, mut up] = tile.columns;
            prepared.multiply(isa, desk, &ffn.gate, &mut gate);
            prepared.multiply(isa, desk, &ffn.up, &mut up);
            (0..n_rows).for_each(|row| gated(isa, gate.row(row), up.row(row)));
        });
        prepared.prepare(crew, Input::all(gate), [&ffn.down.weight].into_iter());
        self.add_product(&ffn.down, residual);
        Ok(())
    }

    fn logits(
        &mut self,
        x: &Rows,
        wanted: &[usize],
        norm: &Norm<Cpu>,
        head: &Linear<Cpu>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let Cpu { crew, prepared, .. } = self;
        out.resize(wanted.len() * head.weight.n_out(), 0.0);
        if wanted.is_empty() {
            return Ok(());
        }
        let input = Input { rows: x, wanted: Some(wanted), norm: Some(norm) };
        prepared.prepare(crew, input, [&head.weight].into_iter());
        let isa = crew.isa;
        crew.columns(&mut [[Columns::new(out, wanted.len())]], |desk, mut tile| {
            prepared.multiply(isa, desk, head, &mut tile.columns[0]);
        });
        Ok(())
    }

    fn hidden(&mut self, x: &Rows, wanted: &[usize], norm: &Norm<Cpu>, out: &mut Vec<f32>) -> Result<()> {
        let width = x.width();
        out.resize(wanted.len() * width, 0.0);
        for (out, &row) in out.chunks_exact_mut(width).zip(wanted) {
            vector::rms_norm(self.crew.isa, x.row(row), &norm.weight, norm.eps, out);
        }
        Ok(())
    }
}
