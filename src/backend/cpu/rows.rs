//! Buffers that grow once and are used again.

use crate::kernels::Columns;
use bytemuck::{Pod, Zeroable};

/// Activations, f32 (n_rows, width).
#[derive(Debug, Default)]
pub struct Rows {
    data: Vec<f32>,
    n_rows: usize,
}

impl Rows {
    /// Takes the shape (n_rows, width); what the elements are is left open.
    pub(super) fn reshape(&mut self, n_rows: usize, width: usize) -> &mut Rows {
        self.data.resize(n_rows * width, 0.0);
        self.n_rows = n_rows;
        self
    }

    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(super) fn width(&self) -> usize {
        self.data.len().checked_div(self.n_rows).unwrap_or(0)
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width()..][..self.width()]
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    pub(super) fn columns(&mut self) -> Columns<'_> {
        Columns::new(&mut self.data, self.n_rows)
    }
}

/// Bytes that start at a cache line, as the kernels read them fastest.
#[derive(Debug, Default)]
pub(super) struct AlignedBytes(Vec<CacheLine>);

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

impl AlignedBytes {
    /// Takes the length `len`, a multiple of 64; what the bytes are is left open.
    pub(super) fn resize(&mut self, len: usize) -> &mut [u8] {
        assert!(len.is_multiple_of(64), "{len} bytes in lines of 64");
        self.0.resize(len / 64, CacheLine([0; 64]));
        bytemuck::cast_slice_mut(&mut self.0)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}
