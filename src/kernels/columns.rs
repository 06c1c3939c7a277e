//! Where the product of a matrix goes: some columns of a row-major matrix of floats.

use std::{marker::PhantomData, ops::Range};

/// Exclusive access to the columns `range()` of a row-major `(n_rows, n_columns)` matrix.
///
/// Threads that share one output hold disjoint columns of it.
#[derive(Debug)]
pub struct Columns<'a> {
    matrix: *mut f32, // (n_rows, stride)
    n_rows: usize,
    stride: usize,
    range: Range<usize>,
    borrow: PhantomData<&'a mut [f32]>,
}

#[expect(unsafe_code, reason = "columns of one matrix interleave in memory, which slices cannot express")]
mod access {
    use super::{Columns, Range};

    // SAFETY: a `Columns` is an exclusive borrow of its own floats, as `&mut [f32]` is.
    unsafe impl Send for Columns<'_> {}
    // SAFETY: through a shared one, floats are reached by `tile` alone, whose caller keeps tiles apart.
    unsafe impl Sync for Columns<'_> {}

    impl Columns<'_> {
        /// The floats of row `row` in these columns.
        ///
        /// # Panics
        /// If there is no such row.
        pub fn row(&mut self, row: usize) -> &mut [f32] {
            assert!(row < self.n_rows, "row {row} of {}", self.n_rows);
            let first = row * self.stride + self.range.start;
            // SAFETY: the construction checked that `n_rows` rows of `stride` floats are there and that `range` lies
            // inside a row; no other `Columns` holds these columns, and the borrow of `self` keeps rows apart in time.
            unsafe { std::slice::from_raw_parts_mut(self.matrix.add(first), self.range.len()) }
        }

        /// The rows `rows`, counted from 0 in the result, and of them the columns `range`, counted as in the whole matrix,
        /// while others may hold other tiles.
        ///
        /// # Safety
        /// While the result lives, nobody may hold a tile, or read floats, that overlap it.
        ///
        /// # Panics
        /// If the tile does not lie inside.
        pub(in crate::kernels) unsafe fn tile(&self, rows: Range<usize>, range: Range<usize>) -> Columns<'_> {
            assert!(rows.start <= rows.end && rows.end <= self.n_rows, "rows {rows:?} of {}", self.n_rows);
            assert!(self.range.start <= range.start && range.start <= range.end && range.end <= self.range.end);
            // SAFETY: `rows` start inside the matrix or at its end.
            let matrix = unsafe { self.matrix.add(rows.start * self.stride) };
            Columns { matrix, n_rows: rows.len(), range, ..*self }
        }
    }
}

impl<'a> Columns<'a> {
    /// All columns of `matrix`, which has `n_rows` rows of equal length.
    ///
    /// # Panics
    /// If the length of `matrix` is no multiple of `n_rows`.
    pub fn new(matrix: &'a mut [f32], n_rows: usize) -> Columns<'a> {
        let stride = matrix.len().checked_div(n_rows).unwrap_or(0);
        assert_eq!(stride * n_rows, matrix.len(), "a matrix of {n_rows} rows has {} floats", matrix.len());
        Columns { matrix: matrix.as_mut_ptr(), n_rows, stride, range: 0..stride, borrow: PhantomData }
    }

    /// These columns for a while.
    pub(crate) fn reborrow(&mut self) -> Columns<'_> {
        Columns { range: self.range.clone(), borrow: PhantomData, ..*self }
    }

    /// The columns before `column`, counted as in the whole matrix, and those from it on.
    ///
    /// # Panics
    /// If `column` lies outside.
    pub fn split_at(self, column: usize) -> (Columns<'a>, Columns<'a>) {
        assert!(self.range.start <= column && column <= self.range.end, "column {column} of {:?}", self.range);
        let (start, end) = (self.range.start, self.range.end);
        (Columns { range: start..column, ..self }, Columns { range: column..end, ..self })
    }

    /// Which columns of the whole matrix these are.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_write_their_own_columns() {
        let mut matrix = [0.0; 6];
        let (mut left, mut right) = Columns::new(&mut matrix, 2).split_at(1);
        left.row(1).fill(1.0);
        right.row(0).fill(2.0);
        assert_eq!(right.range(), 1..3);
        assert_eq!(matrix, [0.0, 2.0, 2.0, 1.0, 0.0, 0.0]);
    }
}
