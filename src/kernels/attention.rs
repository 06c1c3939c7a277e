//! Causal attention of the query heads that share a key head, over blocks of the cache.
//!
//! The softmax is online: a block of positions after the other, each with the maximum so far, so that nothing as long as
//! the context is kept. Blocks start at multiples of their length in the sequence and a query's sums run in the order of
//! positions, so that its bits depend on neither the rows beside it nor the threads.
//!
//! Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.

use super::{
    Columns, Isa,
    cells::{BLOCK_LEN, Cells, Sixteen, n_cell_elements, prefetch, unpack},
    lanes::{Lanes, Line, Task, WIDTH, run},
};
use std::ops::Range;

/// Lines that hold one float for each position of a block.
const BLOCK_LINES: usize = BLOCK_LEN / WIDTH;

/// For a query that sees `n` positions of a block, what its scores are limited by: the 32 from `BLOCK_LEN - n` on.
static LIMITS: [f32; 2 * BLOCK_LEN] = {
    let mut limits = [f32::INFINITY; 2 * BLOCK_LEN];
    let mut i = BLOCK_LEN;
    while i < 2 * BLOCK_LEN {
        limits[i] = f32::NEG_INFINITY;
        i += 1;
    }
    limits
};

/// Rows of one sequence at positions that follow one another, and of them the query heads that share a key head.
#[derive(Clone, Debug)]
pub(crate) struct Queries<'a> {
    /// (n_rows, stride)
    pub(crate) data: &'a [f32],
    /// Floats from one row to the next.
    pub(crate) stride: usize,
    /// Which floats of a row: as many heads as share the key head.
    pub(crate) columns: Range<usize>,
    /// Elements of a head.
    pub(crate) head_dim: usize,
    /// The position of the first row.
    pub(crate) first_pos: usize,
    /// Factor on the product of a query and a key.
    pub(crate) scale: f32,
}

impl Queries<'_> {
    fn n_rows(&self) -> usize {
        self.data.len() / self.stride
    }

    /// Query heads in a row.
    fn group(&self) -> usize {
        self.columns.len() / self.head_dim
    }

    fn len(&self) -> usize {
        self.n_rows() * self.group()
    }

    /// Query `i`, where those of a row follow one another.
    fn query(&self, i: usize) -> &[f32] {
        let (row, head) = (i / self.group(), i % self.group());
        &self.data[row * self.stride + self.columns.start + head * self.head_dim..][..self.head_dim]
    }

    /// How many positions of block `block` query `i` sees.
    fn n_seen(&self, i: usize, block: usize) -> usize {
        (self.first_pos + i / self.group() + 1).saturating_sub(block * BLOCK_LEN).min(BLOCK_LEN)
    }

    /// Blocks that the last row sees.
    fn n_blocks(&self) -> usize {
        (self.first_pos + self.n_rows()).div_ceil(BLOCK_LEN)
    }
}

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
    /// The keys (head_dim, [`BLOCK_LEN`]) and values ([`BLOCK_LEN`], padded head_dim) of a block.
    block: Vec<Line>,
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
        clear(&mut self.block, n_cell_elements(head_dim) / WIDTH);
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
        match cells(0) {
            Cells::F16(_) => scratch.attend_to::<L, u16>(queries, |block| match cells(block) {
                Cells::F16(cells) => cells,
                Cells::F32(_) => unreachable!("the blocks of a cache are of one type"),
            }),
            Cells::F32(_) => scratch.attend_to::<L, f32>(queries, |block| match cells(block) {
                Cells::F32(cells) => cells,
                Cells::F16(_) => unreachable!("the blocks of a cache are of one type"),
            }),
        }
        scratch.finish::<L>(queries, out);
    }
}

impl Attention {
    #[inline(always)]
    fn attend_to<'c, L: Lanes, T: 'c>(&mut self, queries: &Queries, cells: impl Fn(usize) -> &'c [T])
    where
        [T; WIDTH]: Sixteen,
    {
        match queries.len().next_power_of_two().min(L::PAIRS) {
            1 => self.tiled::<L, T, 1>(queries, cells),
            2 => self.tiled::<L, T, 2>(queries, cells),
            4 => self.tiled::<L, T, 4>(queries, cells),
            _ => self.tiled::<L, T, 8>(queries, cells),
        }
    }

    /// In tiles of `N` queries, whose sums stay in registers.
    #[inline(always)]
    fn tiled<'c, L: Lanes, T: 'c, const N: usize>(&mut self, queries: &Queries, cells: impl Fn(usize) -> &'c [T])
    where
        [T; WIDTH]: Sixteen,
    {
        self.begin::<N>(queries);
        let (n_queries, n_blocks) = (queries.len(), queries.n_blocks());
        let n_tiles = n_queries.div_ceil(N);
        // What fills up the last tile sees what the last query does; nobody looks at the result.
        let n_seen = |tile: usize, block: usize| -> [usize; N] {
            std::array::from_fn(|i| queries.n_seen((tile * N + i).min(n_queries - 1), block))
        };
        let mut unpacked = std::mem::take(&mut self.block);
        for block in 0..n_blocks {
            let (here, next) = (cells(block), cells((block + 1).min(n_blocks - 1)));
            let (here, next) = (here.as_chunks().0, next.as_chunks().0);
            if n_tiles == 1 {
                self.step::<L, [T; WIDTH], N>(0, n_seen(0, block), here, next);
                continue;
            }
            unpack::<L, _>(here, next, &mut unpacked);
            // Rows before the block see nothing of it.
            let first = (block * BLOCK_LEN).saturating_sub(queries.first_pos) * queries.group();
            for tile in first / N..n_tiles {
                self.step::<L, Line, N>(tile, n_seen(tile, block), &unpacked, &unpacked);
            }
        }
        self.block = unpacked;
    }

    /// Takes `block` into the sums of a tile whose queries see `n_seen` positions of it, and asks for `next` meanwhile.
    #[inline(always)]
    fn step<L: Lanes, S: Sixteen, const N: usize>(&mut self, tile: usize, n_seen: [usize; N], block: &[S], next: &[S]) {
        let n_lines = self.sums.len() / self.greatest.len();
        let head_dim = self.queries.len() / self.greatest.len();
        let (keys, values) = block.split_at(head_dim * BLOCK_LINES);
        let (next_keys, next_values) = next.split_at(head_dim * BLOCK_LINES);
        let queries = self.queries[tile * N * head_dim..][..N * head_dim].as_chunks::<N>().0;
        let greatest = &mut self.greatest[tile * N..][..N];
        let totals = &mut self.totals[tile * N..][..N];
        let sums = &mut self.sums[tile * N * n_lines..][..N * n_lines];

        let scores = scores::<L, S, N>(queries, keys.as_chunks().0, next_keys.as_chunks().0);
        let mut weights = [[0.0; BLOCK_LEN]; N];
        let mut decays = [L::splat(1.0); N];
        for i in 0..N {
            let limits = LIMITS[BLOCK_LEN - n_seen[i]..][..BLOCK_LEN].as_chunks().0;
            let scores = [scores[i][0].min(L::load(&limits[0])), scores[i][1].min(L::load(&limits[1]))];
            let top = scores[0].max(scores[1]).greatest();
            let top = if top > greatest[i] { top } else { greatest[i] };
            decays[i] = L::splat(greatest[i] - top).exp2();
            greatest[i] = top;
            let weight = [scores[0].sub(L::splat(top)).exp2(), scores[1].sub(L::splat(top)).exp2()];
            let total = L::load(&totals[i].0).mul_add(decays[i], weight[0].add(weight[1]));
            total.store(&mut totals[i].0);
            for (weight, out) in weight.into_iter().zip(weights[i].as_chunks_mut().0) {
                weight.store(out);
            }
        }

        // Positions that no query of the tile sees may never have been written.
        let n_values = n_seen.into_iter().max().unwrap_or(0);
        let values = &values[..n_values * n_lines];
        let mut line = 0;
        while line + 2 <= n_lines {
            mix::<L, S, N, 2>(&weights, (values, next_values), &decays, sums, line);
            line += 2;
        }
        if line < n_lines {
            mix::<L, S, N, 1>(&weights, (values, next_values), &decays, sums, line);
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

/// The products of `N` queries, element by element, with the keys of a block.
#[inline(always)]
fn scores<L: Lanes, S: Sixteen, const N: usize>(
    queries: &[[f32; N]],
    keys: &[[S; BLOCK_LINES]],
    next: &[[S; BLOCK_LINES]],
) -> [[L; BLOCK_LINES]; N] {
    let mut scores = [[L::splat(0.0); BLOCK_LINES]; N];
    for ((query, key), next) in queries.iter().zip(keys).zip(next) {
        prefetch::<L, S>(next);
        let key = [key[0].load::<L>(), key[1].load::<L>()];
        for i in 0..N {
            let x = L::splat(query[i]);
            scores[i] = [x.mul_add(key[0], scores[i][0]), x.mul_add(key[1], scores[i][1])];
        }
    }
    scores
}

/// Adds weighted values to `M` lines, from `line` on, of the sums of `N` queries.
#[inline(always)]
fn mix<L: Lanes, S: Sixteen, const N: usize, const M: usize>(
    weights: &[[f32; BLOCK_LEN]; N],
    (values, next): (&[S], &[S]),
    decays: &[L; N],
    sums: &mut [Line],
    line: usize,
) {
    let n_lines = sums.len() / N;
    let mut mixed = [[L::splat(0.0); M]; N];
    for i in 0..N {
        for m in 0..M {
            mixed[i][m] = L::load(&sums[i * n_lines + line + m].0).mul(decays[i]);
        }
    }
    let rows = values.chunks_exact(n_lines).zip(next.chunks_exact(n_lines));
    for (pos, (value, next)) in rows.enumerate().take(BLOCK_LEN) {
        if let Some(next) = next[line..].first_chunk() {
            prefetch::<L, S>(next);
        }
        // No closure here: the compiler would not inline it, and then no intrinsic either.
        let mut values = [L::splat(0.0); M];
        for m in 0..M {
            values[m] = value[line + m].load::<L>();
        }
        for i in 0..N {
            let weight = L::splat(weights[i][pos]);
            for m in 0..M {
                mixed[i][m] = weight.mul_add(values[m], mixed[i][m]);
            }
        }
    }
    for i in 0..N {
        for m in 0..M {
            mixed[i][m].store(&mut sums[i * n_lines + line + m].0);
        }
    }
}
