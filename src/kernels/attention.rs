//! Causal attention of the query heads that share a key head, over blocks of the cache.
//!
//! The softmax is online: a block of positions after the other, each with the maximum so far, so that nothing as long as
//! the context is kept. Blocks start at multiples of their length in the sequence and a query's sums run in the order of
//! positions, so that its bits depend on neither the rows beside it nor the threads.
//!
//! Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.

use super::{
    Columns, Isa, Queries,
    cells::{BLOCK_LEN, Cells, GROUP_LEN, Sixteen, n_cell_elements, n_cell_scales, prefetch, unpack},
    lanes::{Lanes, Line, Task, WIDTH, run},
};
use std::ops::Range;

/// Lines that hold one float for each position of a block.
const BLOCK_LINES: usize = BLOCK_LEN / WIDTH;

// A pair of lines of values shares its scales.
const _: () = assert!(GROUP_LEN == 2 * WIDTH);

/// What limits the scores of a query: those before position `n` of a block by the 32 from `2 * BLOCK_LEN - n` on, those
/// from it on by the 32 from `BLOCK_LEN - n` on.
static LIMITS: [f32; 3 * BLOCK_LEN] = {
    let mut limits = [f32::NEG_INFINITY; 3 * BLOCK_LEN];
    let mut i = BLOCK_LEN;
    while i < 2 * BLOCK_LEN {
        limits[i] = f32::INFINITY;
        i += 1;
    }
    limits
};

/// A block as a tile reads it.
#[derive(Clone, Copy)]
struct Block<'a, S> {
    /// (head_dim, [`BLOCK_LINES`])
    keys: &'a [[S; BLOCK_LINES]],
    /// ([`BLOCK_LEN`], lines of a value)
    values: &'a [S],
    /// Of integers, the scales of each group of the keys and of each group of the values: (2, n_groups, [`BLOCK_LINES`]).
    scales: &'a [[Line; BLOCK_LINES]],
}

impl<'a, S> Block<'a, S> {
    fn new(cells: &'a [S], head_dim: usize, scales: &'a [Line]) -> Block<'a, S> {
        let (keys, values) = cells.split_at(head_dim * BLOCK_LINES);
        Block { keys: keys.as_chunks().0, values, scales: scales.as_chunks().0 }
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
    /// Of a block of integers, the scales.
    scales: Vec<Line>,
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
        clear(&mut self.scales, n_cell_scales(head_dim) / WIDTH);
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

impl Attention {
    #[inline(always)]
    fn attend_to<'c, L: Lanes, T: 'c>(&mut self, queries: &Queries, cells: impl Fn(usize) -> Stored<'c, T>)
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
    fn tiled<'c, L: Lanes, T: 'c, const N: usize>(
        &mut self,
        queries: &Queries,
        cells: impl Fn(usize) -> Stored<'c, T>,
    ) where
        [T; WIDTH]: Sixteen,
    {
        self.begin::<N>(queries);
        let (n_queries, blocks, head_dim) = (queries.len(), queries.blocks(), queries.head_dim);
        // What fills up the last tile sees what the last query does; nobody looks at the result.
        let seen = |tile: usize, block: usize| -> [Range<usize>; N] {
            std::array::from_fn(|i| queries.seen((tile * N + i).min(n_queries - 1), block))
        };
        let (mut unpacked, mut scales) = (std::mem::take(&mut self.block), std::mem::take(&mut self.scales));
        for block in blocks.clone() {
            let (here, next) = (cells(block), cells((block + 1).min(blocks.end - 1)));
            let n_scales = here.1.len() / WIDTH;
            unpack::<L, _>(here.1.as_chunks().0, next.1.as_chunks().0, &mut scales);
            let scales = &scales[..n_scales];
            let (here, next) = (here.0.as_chunks().0, next.0.as_chunks().0);
            if n_queries <= N {
                let (here, next) = (Block::new(here, head_dim, scales), Block::new(next, head_dim, scales));
                self.step::<L, [T; WIDTH], N>(0, seen(0, block), here, next);
                continue;
            }
            unpack::<L, _>(here, next, &mut unpacked);
            let here = Block::new(&unpacked[..], head_dim, scales);
            let that_see = queries.that_see(block);
            for tile in that_see.start / N..that_see.end.div_ceil(N) {
                self.step::<L, Line, N>(tile, seen(tile, block), here, here);
            }
        }
        (self.block, self.scales) = (unpacked, scales);
    }

    /// Takes block `here` into the sums of a tile whose queries see the positions `seen`, and asks for `next` meanwhile.
    #[inline(always)]
    fn step<L: Lanes, S: Sixteen, const N: usize>(
        &mut self,
        tile: usize,
        seen: [Range<usize>; N],
        here: Block<S>,
        next: Block<S>,
    ) {
        let n_lines = self.sums.len() / self.greatest.len();
        let head_dim = self.queries.len() / self.greatest.len();
        let queries = self.queries[tile * N * head_dim..][..N * head_dim].as_chunks::<N>().0;
        let greatest = &mut self.greatest[tile * N..][..N];
        let totals = &mut self.totals[tile * N..][..N];
        let sums = &mut self.sums[tile * N * n_lines..][..N * n_lines];
        let (key_scales, value_scales) = here.scales.split_at(here.scales.len() / 2);

        let scores = scores::<L, S, N>(queries, (here.keys, next.keys), key_scales);
        let mut weights = [[0.0; BLOCK_LEN]; N];
        let mut decays = [L::splat(1.0); N];
        for i in 0..N {
            let scores = limit::<L>(scores[i], &seen[i]);
            let top = scores[0].max(scores[1]).greatest();
            let top = if top > greatest[i] { top } else { greatest[i] };
            // Of a query that has seen nothing yet this is 0, since the power of what is not a number is.
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
        let n_values = seen.iter().map(|seen| seen.end).max().unwrap_or(0);
        let values = (&here.values[..n_values * n_lines], next.values);
        for (group, line) in (0..n_lines).step_by(2).enumerate() {
            let weights = match value_scales.get(group) {
                Some(scales) => &scaled::<L, N>(&weights, scales),
                None => &weights,
            };
            match n_lines - line {
                1 => mix::<L, S, N, 1>(weights, values, &decays, sums, line),
                _ => mix::<L, S, N, 2>(weights, values, &decays, sums, line),
            }
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

/// Scores of a block, minus infinity where the position is not `seen`.
#[inline(always)]
fn limit<L: Lanes>(mut scores: [L; BLOCK_LINES], seen: &Range<usize>) -> [L; BLOCK_LINES] {
    let (before, from) = (&LIMITS[2 * BLOCK_LEN - seen.end..], &LIMITS[BLOCK_LEN - seen.start..]);
    let limits = before.as_chunks().0.iter().zip(from.as_chunks().0);
    for (score, (before, from)) in scores.iter_mut().zip(limits) {
        *score = score.min(L::load(before)).min(L::load(from));
    }
    scores
}

/// The products of `N` queries, element by element, with the keys of a block, while the next keys are asked for.
#[inline(always)]
fn scores<L: Lanes, S: Sixteen, const N: usize>(
    queries: &[[f32; N]],
    (keys, next): (&[[S; BLOCK_LINES]], &[[S; BLOCK_LINES]]),
    scales: &[[Line; BLOCK_LINES]],
) -> [[L; BLOCK_LINES]; N] {
    let mut scores = [[L::splat(0.0); BLOCK_LINES]; N];
    let group_len = if scales.is_empty() { queries.len() } else { GROUP_LEN };
    let groups = queries.chunks(group_len).zip(keys.chunks(group_len)).zip(next.chunks(group_len));
    for (group, ((queries, keys), next)) in groups.enumerate() {
        let mut sums = [[L::splat(0.0); BLOCK_LINES]; N];
        for ((query, key), next) in queries.iter().zip(keys).zip(next) {
            prefetch::<L, S>(next);
            let key = [key[0].load::<L>(), key[1].load::<L>()];
            for i in 0..N {
                let x = L::splat(query[i]);
                sums[i] = [x.mul_add(key[0], sums[i][0]), x.mul_add(key[1], sums[i][1])];
            }
        }
        let Some(scale) = scales.get(group) else { return sums };
        for i in 0..N {
            for m in 0..BLOCK_LINES {
                scores[i][m] = sums[i][m].mul_add(L::load(&scale[m].0), scores[i][m]);
            }
        }
    }
    scores
}

/// Weights of the positions of a block, times the scales of a group of its values.
#[inline(always)]
fn scaled<L: Lanes, const N: usize>(
    weights: &[[f32; BLOCK_LEN]; N],
    scales: &[Line; BLOCK_LINES],
) -> [[f32; BLOCK_LEN]; N] {
    let mut scaled = *weights;
    for weights in &mut scaled {
        for (weights, scales) in weights.as_chunks_mut().0.iter_mut().zip(scales) {
            L::load(weights).mul(L::load(&scales.0)).store(weights);
        }
    }
    scaled
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
