//! Causal attention of the query heads that share a key head, over blocks of the cache.
//!
//! The softmax is online: a [`step`](super::step) of positions after the other, each with the maximum so far, so that
//! nothing as long as the context is kept. Steps start at multiples of their length in the sequence and a query's sums
//! run in the order of positions, so that its bits depend on neither the rows beside it nor the threads.
//!
//! Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.

use super::{
    Columns, Isa, Queries,
    cells::{Cells, Sixteen, n_cell_elements, n_cell_scales, unpack},
    lanes::{Lanes, Line, Task, WIDTH, run},
    step::{Block, STEP_BLOCKS, Tile},
};

/// Memory for one thread to compute attention in.
#[derive(Debug, Default)]
pub(crate) struct Attention {
    /// The queries in tiles, (n_tiles, head_dim, tile).
    queries: Vec<f32>,
    /// Sums of weighted values, (n_queries, padded head_dim).
    sums: Vec<Line>,
    /// Of each query, the greatest score so far.
    greatest: Vec<f32>,
    /// Of each query, the sum of the weights, in lanes.
    totals: Vec<Line>,
    /// The keys (head_dim, `BLOCK_LEN`) and values (`BLOCK_LEN`, padded head_dim) of each block of a step.
    blocks: [Vec<Line>; STEP_BLOCKS],
    /// Where they are integers, their scales.
    scales: [Vec<Line>; STEP_BLOCKS],
}

impl Attention {
    /// Writes what the queries attend to, to `out`, whose rows and columns are theirs. `cells` gives the head's keys and
    /// values in each block of the sequence, in order.
    ///
    /// # Panics
    /// If a size does not fit another.
    pub(crate) fn attend<'c>(&mut self, isa: Isa, queries: &Queries, cells: impl Fn(usize) -> Cells<'c>, out: Columns) {
        assert!(queries.data.len().is_multiple_of(queries.stride) && queries.columns.end <= queries.stride);
        assert!(queries.columns.len().is_multiple_of(queries.head_dim), "whole heads");
        assert_eq!(
            (out.n_rows(), out.range()),
            (queries.n_rows(), queries.columns.clone()),
            "room for what is attended"
        );
        run(isa, Attend { scratch: self, queries, cells, out });
    }

    /// Makes room for `n` queries in tiles of `N`, with nothing attended yet, and fills the tiles.
    fn begin<const N: usize>(&mut self, queries: &Queries) {
        let (head_dim, n) = (queries.head_dim, queries.len().next_multiple_of(N));
        let clear = |lines: &mut Vec<Line>, n| {
            lines.clear();
            lines.resize(n, Line([0.0; WIDTH]));
        };
        clear(&mut self.sums, n * head_dim.div_ceil(WIDTH));
        clear(&mut self.totals, n);
        for (lines, n) in [(&mut self.blocks, n_cell_elements(head_dim)), (&mut self.scales, n_cell_scales(head_dim))] {
            lines.iter_mut().for_each(|lines| lines.resize(n / WIDTH, Line([0.0; WIDTH])));
        }
        self.greatest.clear();
        self.greatest.resize(n, f32::NEG_INFINITY);
        self.queries.clear();
        self.queries.resize(n * head_dim, 0.0);
        // Powers of two instead of e, since these are what the exponential is made of.
        let scale = queries.scale * std::f32::consts::LOG2_E;
        for i in 0..queries.len() {
            let tile = &mut self.queries[i / N * N * head_dim..][..N * head_dim];
            for (x, element) in queries.query(i).iter().zip(tile.as_chunks_mut::<N>().0) {
                element[i % N] = x * scale;
            }
        }
    }
}

struct Attend<'a, 'o, C> {
    scratch: &'a mut Attention,
    queries: &'a Queries<'a>,
    cells: C,
    out: Columns<'o>,
}

impl<'c, C: Fn(usize) -> Cells<'c>> Task for Attend<'_, '_, C> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Attend { scratch, queries, cells, out } = self;
        const OF_ONE_TYPE: &str = "the blocks of a cache are of one type";
        match cells(0) {
            Cells::F16(_) => scratch.attend_to::<L, u16>(queries, |block| match cells(block) {
                Cells::F16(cells) => (cells, &[]),
                _ => unreachable!("{OF_ONE_TYPE}"),
            }),
            Cells::F32(_) => scratch.attend_to::<L, f32>(queries, |block| match cells(block) {
                Cells::F32(cells) => (cells, &[]),
                _ => unreachable!("{OF_ONE_TYPE}"),
            }),
            Cells::Q8_0(..) => scratch.attend_to::<L, i8>(queries, |block| match cells(block) {
                Cells::Q8_0(cells, scales) => (cells, scales),
                _ => unreachable!("{OF_ONE_TYPE}"),
            }),
        }
        scratch.finish::<L>(queries, out);
    }
}

/// Cells of a block, and their scales if they are integers.
type Stored<'c, T> = (&'c [T], &'c [u16]);

/// The scales of a block as floats, in `lines`; those of the next one are asked for meanwhile.
#[inline(always)]
fn scales_of<'a, L: Lanes, T>(here: Stored<T>, next: Stored<T>, lines: &'a mut [Line]) -> &'a [Line] {
    unpack::<L, [u16; WIDTH]>(here.1.as_chunks().0, next.1.as_chunks().0, lines)
}

impl Attention {
    #[inline(always)]
    fn attend_to<'c, L: Lanes, T: 'c>(&mut self, queries: &Queries, cells: impl Fn(usize) -> Stored<'c, T>)
    where
        [T; WIDTH]: Sixteen,
    {
        // As many sums as there are registers for: of a tile of queries times so many lines of positions or values.
        match (queries.len(), L::PAIRS) {
            (1, _) => self.few::<L, T, 1, 4>(queries, cells),
            (2, 4..) => self.few::<L, T, 2, 4>(queries, cells),
            (2, _) => self.few::<L, T, 2, 2>(queries, cells),
            (3..=4, 8..) => self.few::<L, T, 4, 4>(queries, cells),
            (5..=16, 8..) => self.few::<L, T, 8, 2>(queries, cells),
            (_, 8..) => self.many::<L, T, 8, 2>(queries, cells),
            (3..=8, _) => self.few::<L, T, 4, 1>(queries, cells),
            _ => self.many::<L, T, 4, 1>(queries, cells),
        }
    }

    /// In tiles of `N` queries, `M` lines of positions or values at a time, from where the cells are stored.
    #[inline(always)]
    fn few<'c, L: Lanes, T: 'c, const N: usize, const M: usize>(
        &mut self,
        queries: &Queries,
        cells: impl Fn(usize) -> Stored<'c, T>,
    ) where
        [T; WIDTH]: Sixteen,
    {
        self.begin::<N>(queries);
        let head_dim = queries.head_dim;
        let mut scales = std::mem::take(&mut self.scales);
        for step in queries.steps() {
            let [here, next] = [step, step + 1].map(|step| queries.blocks(step).map(&cells));
            // No closure here: the compiler would not inline it, and then no intrinsic either.
            let [first, second] = &mut scales;
            let scales = [scales_of::<L, T>(here[0], next[0], first), scales_of::<L, T>(here[1], next[1], second)];
            let [first, second] = [here[0].0.as_chunks().0, here[1].0.as_chunks().0];
            let blocks = [Block::new(first, head_dim, scales[0]), Block::new(second, head_dim, scales[1])];
            let next = [next[0].0.as_chunks().0, next[1].0.as_chunks().0];
            for tile in queries.tiles::<N>(step) {
                self.tile::<N>(queries, tile, step).take_in::<L, [T; WIDTH], M>(blocks, next);
            }
        }
        self.scales = scales;
    }

    /// The same for so many queries that it pays to make floats of the cells first.
    #[inline(always)]
    fn many<'c, L: Lanes, T: 'c, const N: usize, const M: usize>(
        &mut self,
        queries: &Queries,
        cells: impl Fn(usize) -> Stored<'c, T>,
    ) where
        [T; WIDTH]: Sixteen,
    {
        self.begin::<N>(queries);
        let head_dim = queries.head_dim;
        let (mut unpacked, mut scales) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.scales));
        for step in queries.steps() {
            let [here, next] = [step, step + 1].map(|step| queries.blocks(step).map(&cells));
            let [first, second] = &mut scales;
            let scales = [scales_of::<L, T>(here[0], next[0], first), scales_of::<L, T>(here[1], next[1], second)];
            let [first, second] = &mut unpacked;
            let first = unpack::<L, _>(here[0].0.as_chunks().0, next[0].0.as_chunks().0, first);
            let second = unpack::<L, _>(here[1].0.as_chunks().0, next[1].0.as_chunks().0, second);
            let blocks = [Block::new(first, head_dim, scales[0]), Block::new(second, head_dim, scales[1])];
            for tile in queries.tiles::<N>(step) {
                self.tile::<N>(queries, tile, step).take_in::<L, Line, M>(blocks, [&[], &[]]);
            }
        }
        (self.blocks, self.scales) = (unpacked, scales);
    }

    /// Tile `tile` at step `step`.
    #[inline(always)]
    fn tile<const N: usize>(&mut self, queries: &Queries, tile: usize, step: usize) -> Tile<'_, N> {
        let (n_tiles, head_dim, last) = (self.greatest.len() / N, queries.head_dim, queries.len() - 1);
        let n_lines = self.sums.len() / n_tiles;
        Tile {
            queries: self.queries[tile * N * head_dim..][..N * head_dim].as_chunks().0,
            // What fills up the last tile sees what the last query does; nobody looks at the result.
            seen: std::array::from_fn(|i| queries.seen((tile * N + i).min(last), step)),
            sums: &mut self.sums[tile * n_lines..][..n_lines],
            greatest: &mut self.greatest.as_chunks_mut().0[tile],
            totals: &mut self.totals.as_chunks_mut().0[tile],
        }
    }

    #[inline(always)]
    fn finish<L: Lanes>(&self, queries: &Queries, mut out: Columns) {
        let (group, head_dim) = (queries.group(), queries.head_dim);
        let n_lines = head_dim.div_ceil(WIDTH);
        for i in 0..queries.len() {
            let share = L::splat(1.0 / L::load(&self.totals[i].0).sum());
            let row = &mut out.row(i / group)[i % group * head_dim..][..head_dim];
            let (whole, rest) = row.as_chunks_mut();
            let sums = &self.sums[i * n_lines..][..n_lines];
            for (sums, line) in sums.iter().zip(whole) {
                L::load(&sums.0).mul(share).store(line);
            }
            if !rest.is_empty() {
                let mut line = [0.0; WIDTH];
                L::load(&sums[n_lines - 1].0).mul(share).store(&mut line);
                rest.copy_from_slice(&line[..rest.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{BLOCK_LEN, CellsMut};

    /// Keys and values of one head, and one sequence of queries of `group` heads to it.
    struct Case {
        head_dim: usize,
        group: usize,
        window: Option<usize>,
        /// (n_pos, head_dim)
        keys: Vec<f32>,
        /// (n_pos, head_dim)
        values: Vec<f32>,
        /// (n_pos, group × head_dim)
        queries: Vec<f32>,
    }

    /// The blocks of a cache.
    enum Cache {
        F16(Vec<Vec<u16>>),
        F32(Vec<Vec<f32>>),
        Q8_0(Vec<(Vec<i8>, Vec<u16>)>),
    }

    const N_POS: usize = 150;

    impl Case {
        fn new(head_dim: usize, group: usize, window: Option<usize>) -> Case {
            let mut state = (head_dim * 31 + group) as u64;
            let mut numbers = |n: usize| -> Vec<f32> {
                let mut number = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 40) as f32 / (1 << 23) as f32 - 1.0
                };
                // Of another size in each group, so that scales differ.
                let size = |i: usize| [1.0, 3.0, 0.3][(i % head_dim / 32 + i / head_dim) % 3];
                (0..n * head_dim).map(|i| size(i) * number()).collect()
            };
            let (keys, values, queries) = (numbers(N_POS), numbers(N_POS), numbers(N_POS * group));
            Case { head_dim, group, window, keys, values, queries }
        }

        /// The blocks with the keys and values in them, and what is not a number where nothing is.
        fn caches(&self) -> [Cache; 3] {
            let n_blocks = N_POS.div_ceil(BLOCK_LEN);
            let (n_cells, n_scales) = (n_cell_elements(self.head_dim), n_cell_scales(self.head_dim));
            let mut halves = vec![vec![u16::MAX; n_cells]; n_blocks];
            let mut floats = vec![vec![f32::NAN; n_cells]; n_blocks];
            let mut bytes = vec![(vec![i8::MIN; n_cells], vec![u16::MAX; n_scales]); n_blocks];
            for pos in 0..N_POS {
                let (block, range) = (pos / BLOCK_LEN, pos * self.head_dim..(pos + 1) * self.head_dim);
                let (data, scales) = &mut bytes[block];
                let cells = [
                    CellsMut::F16(&mut halves[block]),
                    CellsMut::F32(&mut floats[block]),
                    CellsMut::Q8_0(data, scales),
                ];
                for mut cells in cells {
                    let (key, value) = (&self.keys[range.clone()], &self.values[range.clone()]);
                    cells.write(Isa::detect(), pos % BLOCK_LEN, key, value);
                }
            }
            [Cache::F16(halves), Cache::F32(floats), Cache::Q8_0(bytes)]
        }

        /// What rows `rows` attend to, (rows.len(), group × head_dim).
        fn attended(&self, isa: Isa, cache: &Cache, rows: std::ops::Range<usize>) -> Vec<f32> {
            let stride = self.group * self.head_dim;
            let queries = Queries {
                data: &self.queries[rows.start * stride..rows.end * stride],
                stride,
                columns: 0..stride,
                head_dim: self.head_dim,
                first_pos: rows.start,
                window: self.window,
                scale: 0.2,
            };
            let mut out = vec![0.0; rows.len() * stride];
            let cells = |block: usize| match cache {
                Cache::F16(blocks) => Cells::F16(&blocks[block]),
                Cache::F32(blocks) => Cells::F32(&blocks[block]),
                Cache::Q8_0(blocks) => Cells::Q8_0(&blocks[block].0, &blocks[block].1),
            };
            Attention::default().attend(isa, &queries, cells, Columns::new(&mut out, rows.len()));
            out
        }

        /// What query head `head` of row `row` attends to, as the definition has it.
        fn exact(&self, row: usize, head: usize) -> Vec<f64> {
            let of = |data: &[f32], i: usize| -> Vec<f64> {
                data[i * self.head_dim..][..self.head_dim].iter().map(|&x| x.into()).collect()
            };
            let query = of(&self.queries, row * self.group + head);
            let seen = self.window.map_or(0, |window| (row + 1).saturating_sub(window))..row + 1;
            let weights: Vec<f64> = seen
                .clone()
                .map(|pos| of(&self.keys, pos).iter().zip(&query).map(|(k, q)| k * q).sum::<f64>())
                .map(|score| (0.2 * score).exp())
                .collect();
            let mut sum = vec![0.0; self.head_dim];
            for (pos, weight) in seen.zip(&weights) {
                sum.iter_mut().zip(of(&self.values, pos)).for_each(|(sum, value)| *sum += weight * value);
            }
            let total: f64 = weights.iter().sum();
            sum.into_iter().map(|sum| sum / total).collect()
        }
    }

    fn cases() -> impl Iterator<Item = Case> {
        let shapes = [(2, 1), (20, 2), (64, 4), (80, 3), (96, 8), (128, 2), (48, 9)];
        let windows = [None, Some(1), Some(5), Some(33), Some(100), Some(usize::MAX)];
        shapes.into_iter().flat_map(move |(dim, group)| windows.map(|window| Case::new(dim, group, window)))
    }

    #[test]
    fn attention_is_what_its_definition_says() {
        for case in cases() {
            for (cache, limit) in case.caches().iter().zip([0.01, 1e-5, 0.15]) {
                let found = case.attended(Isa::detect(), cache, 0..N_POS);
                for (i, found) in found.chunks(case.head_dim).enumerate() {
                    let exact = case.exact(i / case.group, i % case.group);
                    let difference =
                        found.iter().zip(exact).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
                    let Case { head_dim, group, window, .. } = case;
                    assert!(difference < limit, "{head_dim} × {group}, {window:?}, query {i}: {difference:.1e}");
                    assert!(found.iter().all(|x| x.is_finite()));
                }
            }
        }
    }

    #[test]
    fn rows_alone_and_together_give_the_same_bits_on_every_instruction_set() {
        let bits = |data: &[f32]| -> Vec<u32> { data.iter().map(|x| x.to_bits()).collect() };
        for case in cases() {
            let stride = case.group * case.head_dim;
            for cache in &case.caches() {
                let expected = bits(&case.attended(Isa::SCALAR, cache, 0..N_POS));
                for isa in Isa::available() {
                    for rows in [0..N_POS, 0..1, 31..32, 64..65, 127..130, 149..150, 60..140] {
                        let range = rows.start * stride..rows.end * stride;
                        let found = bits(&case.attended(isa, cache, rows.clone()));
                        let Case { head_dim, group, window, .. } = case;
                        let what = format!("{head_dim} × {group}, {window:?}, rows {rows:?}, {}", isa.name());
                        assert!(found == expected[range], "{what}");
                    }
                }
            }
        }
    }
}
