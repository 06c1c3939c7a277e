//! What goes into products with stored weights, and the products of a tile.

use super::{
    Cpu, Matrix,
    crew::{Crew, Desk, ROWS_PER_PIECE},
    rows::{AlignedBytes, Rows},
};
use crate::{
    backend::{Linear, Norm},
    kernels::{self, Columns, Form, Isa, vector},
};

/// Rows that go into products.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) rows: &'a Rows,
    /// Which of them, in this order; `None` for all.
    pub(super) wanted: Option<&'a [usize]>,
    /// Applied to each before it is used.
    pub(super) norm: Option<&'a Norm<Cpu>>,
}

impl<'a> Input<'a> {
    /// All of `rows` as they are.
    pub(super) fn all(rows: &'a Rows) -> Input<'a> {
        Input { rows, wanted: None, norm: None }
    }

    fn n_rows(&self) -> usize {
        self.wanted.map_or(self.rows.n_rows(), <[usize]>::len)
    }

    fn row(&self, i: usize) -> &'a [f32] {
        self.rows.row(self.wanted.map_or(i, |wanted| wanted[i]))
    }
}

/// The input of an operation in every form that its weights ask for. Kept, so that a token allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    n_rows: usize,
    width: usize,
    /// One for each [`Form`]; those that the weights do not ask for are stale.
    forms: [AlignedBytes; 3],
}

fn slot(form: Form) -> usize {
    match form {
        Form::F32 => 0,
        Form::Q8Block32 => 1,
        Form::Q8Block256 => 2,
    }
}

impl Prepared {
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Normalizes and quantizes `input` once for each form that one of `matrices` asks for.
    pub(super) fn prepare<'a>(
        &mut self,
        crew: &mut Crew,
        input: Input,
        matrices: impl Iterator<Item = &'a Matrix> + Clone,
    ) {
        (self.n_rows, self.width) = (input.n_rows(), input.rows.width());
        for form in [Form::F32, Form::Q8Block32, Form::Q8Block256] {
            if matrices.clone().any(|matrix| matrix.form() == form) {
                self.prepare_form(crew, input, form);
            }
        }
    }

    fn prepare_form(&mut self, crew: &mut Crew, input: Input, form: Form) {
        let row_bytes = form.row_bytes(self.width);
        let data = self.forms[slot(form)].resize(self.n_rows * row_bytes);
        let isa = crew.isa;
        let (pool, desks) = crew.split();
        pool.pieces(data, ROWS_PER_PIECE * row_bytes, |thread, first, piece| {
            let normalized = &mut desks.of(thread).row;
            for (i, out) in piece.chunks_exact_mut(row_bytes).enumerate() {
                let mut x = input.row(first / row_bytes + i);
                if let Some(norm) = input.norm {
                    normalized.resize(x.len(), 0.0);
                    vector::rms_norm(isa, x, &norm.weight, norm.eps, normalized);
                    x = normalized;
                }
                kernels::quantize(isa, form, x, out);
            }
        });
    }

    /// `out` = `linear` of every row, for the outputs that `out` has as columns.
    pub(super) fn multiply(&self, isa: Isa, desk: &mut Desk, linear: &Linear<Cpu>, out: &mut Columns) {
        let form = linear.weight.form();
        let rows = kernels::Rows::new(form, self.width, self.forms[slot(form)].bytes());
        kernels::product(isa, &linear.weight.weights(), &rows, out.reborrow(), &mut desk.product);
        if let Some(bias) = &linear.bias {
            let bias = &bias[out.range()];
            (0..self.n_rows).for_each(|row| add(out.row(row), bias));
        }
    }
}

/// `sum` += `x`, element by element.
pub(super) fn add(sum: &mut [f32], x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}
