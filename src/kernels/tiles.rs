//! One output shared among the threads of a pool: each piece of it is written by one of them.

use super::{Columns, Pool};
use std::ops::Range;

/// How matrices are cut into tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut<'a> {
    /// Where rows are cut, ascending; the first and the last number are the first row and the end.
    pub(crate) rows: &'a [usize],
    /// Columns of a tile; the last of a row may have fewer.
    pub(crate) n_columns: usize,
}

/// A piece of each matrix in a group of `N` with the same columns.
#[derive(Debug)]
pub(crate) struct Tile<'a, const N: usize> {
    /// Which group.
    pub(crate) group: usize,
    /// Which rows of the matrices.
    pub(crate) rows: Range<usize>,
    /// The same rows and columns of each matrix.
    pub(crate) columns: [Columns<'a>; N],
}

impl Pool {
    /// Cuts the matrices of every group alike and calls `work(thread, tile)` once for each tile.
    ///
    /// # Panics
    /// If `cut.rows` does not ascend, `cut.n_columns` is zero, or a group's matrices differ in their columns.
    #[expect(unsafe_code, reason = "threads hold disjoint tiles of one matrix")]
    pub(crate) fn tiles<const N: usize>(
        &mut self,
        groups: &mut [[Columns; N]],
        cut: Cut,
        work: impl Fn(usize, Tile<N>) + Sync,
    ) {
        assert!(cut.rows.is_sorted(), "rows are cut in ascending order");
        let groups = &*groups;
        let across = |group: &[Columns; N]| group[0].range().len().div_ceil(cut.n_columns);
        let n_down = cut.rows.len().saturating_sub(1);
        let n_across = groups.iter().map(across).sum::<usize>();
        self.each(n_across * n_down, |thread, piece| {
            // The last rows first: in attention they are the longest.
            let (down, mut across_all) = (n_down - 1 - piece / n_across, piece % n_across);
            let mut group = 0;
            while across_all >= across(&groups[group]) {
                across_all -= across(&groups[group]);
                group += 1;
            }
            let whole = groups[group][0].range();
            assert!(groups[group].iter().all(|matrix| matrix.range() == whole), "matrices of a group differ");
            let start = whole.start + across_all * cut.n_columns;
            let (rows, range) = (cut.rows[down]..cut.rows[down + 1], start..whole.end.min(start + cut.n_columns));
            // SAFETY: `each` hands out every piece once, pieces differ in their group, their rows or their columns, cuts
            // ascend and so do not overlap, and `groups` stays borrowed until all tiles are dropped.
            let columns = groups[group].each_ref().map(|matrix| unsafe { matrix.tile(rows.clone(), range.clone()) });
            work(thread, Tile { group, rows, columns });
        });
    }

    /// Cuts `data` into pieces of `len` and calls `work(thread, first, piece)` for each, where `first` is the index of
    /// the first element of the piece.
    ///
    /// # Panics
    /// If `len` is zero.
    #[expect(unsafe_code, reason = "threads hold disjoint pieces of one slice")]
    pub(crate) fn pieces<T: Send>(&mut self, data: &mut [T], len: usize, work: impl Fn(usize, usize, &mut [T]) + Sync) {
        struct Start<T>(*mut T);
        // SAFETY: it stands for the `&mut [T]` of the caller, of which each thread gets other elements.
        unsafe impl<T: Send> Sync for Start<T> {}
        let (start, end) = (Start(data.as_mut_ptr()), data.len());
        // The whole of it is captured, and not the pointer inside, which is not `Sync`.
        let start = &start;
        self.each(end.div_ceil(len), |thread, i| {
            let first = i * len;
            // SAFETY: inside `data`, which stays borrowed until all pieces are dropped; and `each` hands out every `i` once.
            let piece = unsafe { std::slice::from_raw_parts_mut(start.0.add(first), len.min(end - first)) };
            work(thread, first, piece);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_each_matrix_once() {
        let mut pool = Pool::new(3).expect("threads");
        let (mut a, mut b, mut c) = (vec![0.0; 5 * 7], vec![0.0; 5 * 7], vec![0.0; 5 * 2]);
        let mut pairs = [[Columns::new(&mut a, 5), Columns::new(&mut b, 5)]];
        let visit = |_: usize, mut tile: Tile<2>| {
            let (height, [a, b]) = (tile.rows.len(), &mut tile.columns);
            for row in 0..height {
                a.row(row).iter_mut().zip(b.range()).for_each(|(a, column)| *a += column as f32);
                b.row(row).iter_mut().for_each(|b| *b += (tile.rows.start + row) as f32);
            }
        };
        pool.tiles(&mut pairs, Cut { rows: &[0, 2, 5], n_columns: 3 }, visit);
        assert!(a.iter().enumerate().all(|(i, &a)| a == (i % 7) as f32));
        assert!(b.iter().enumerate().all(|(i, &b)| b == (i / 7) as f32));
        let mut singles = [[Columns::new(&mut a, 5)], [Columns::new(&mut c, 5)]];
        pool.tiles(&mut singles, Cut { rows: &[0, 5], n_columns: 2 }, |_, mut tile| {
            (0..5).for_each(|row| tile.columns[0].row(row).fill(tile.group as f32));
        });
        assert!(a.iter().all(|&a| a == 0.0) && c.iter().all(|&c| c == 1.0));
    }

    #[test]
    fn pieces_cover_a_slice_once() {
        let mut pool = Pool::new(2).expect("threads");
        let mut data = vec![0; 103];
        pool.pieces(&mut data, 10, |_, first, piece| {
            piece.iter_mut().enumerate().for_each(|(i, x)| *x += first + i);
        });
        assert!(data.iter().enumerate().all(|(i, &x)| x == i));
        pool.pieces(&mut data[..0], 10, |_, _, _| unreachable!("nothing to do"));
    }
}
