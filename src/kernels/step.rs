//! One step of attention: a tile of queries takes in the keys and values of two blocks.
//!
//! Two, since what a step costs beside its products, the maximum and the exponentials, then counts half.

use super::{
    cells::{BLOCK_LEN, GROUP_LEN, Sixteen, ask},
    lanes::{Lanes, Line, WIDTH},
};
use std::ops::Range;

/// Blocks of a step.
pub(super) const STEP_BLOCKS: usize = 2;

/// Positions of a step.
pub(super) const STEP_LEN: usize = STEP_BLOCKS * BLOCK_LEN;

/// Lines that hold one float for each position of a block.
const BLOCK_LINES: usize = BLOCK_LEN / WIDTH;

/// Lines that hold one float for each position of a step.
const STEP_LINES: usize = STEP_LEN / WIDTH;

/// Lines of a value that share scales.
const GROUP_LINES: usize = GROUP_LEN / WIDTH;

/// What limits the scores of a query: those of a position before `n` by the [`STEP_LEN`] from `2 * STEP_LEN - n` on, those
/// of the others by as many from `STEP_LEN - n` on.
static LIMITS: [f32; 3 * STEP_LEN] = {
    let mut limits = [f32::NEG_INFINITY; 3 * STEP_LEN];
    let mut i = STEP_LEN;
    while i < 2 * STEP_LEN {
        limits[i] = f32::INFINITY;
        i += 1;
    }
    limits
};

/// A number for each position of a step.
type Each = [[f32; WIDTH]; STEP_LINES];

/// A block as a tile reads it.
#[derive(Clone, Copy)]
pub(super) struct Block<'a, S> {
    /// (head_dim, [`BLOCK_LINES`]), then ([`BLOCK_LEN`], lines of a value).
    cells: &'a [S],
    /// Of integers, the scales of each group of the keys and of each group of the values: (2, n_groups, [`BLOCK_LINES`]).
    scales: &'a [[Line; BLOCK_LINES]],
    head_dim: usize,
}

impl<'a, S> Block<'a, S> {
    #[inline(always)]
    pub(super) fn new(cells: &'a [S], head_dim: usize, scales: &'a [Line]) -> Block<'a, S> {
        Block { cells, scales: scales.as_chunks().0, head_dim }
    }

    #[inline(always)]
    fn keys(&self) -> &'a [[S; BLOCK_LINES]] {
        self.cells[..self.head_dim * BLOCK_LINES].as_chunks().0
    }

    #[inline(always)]
    fn values(&self) -> &'a [S] {
        &self.cells[self.head_dim * BLOCK_LINES..]
    }

    /// The scales of group `group` of the keys; `None` if it has none.
    #[inline(always)]
    fn key_scales(&self, group: usize) -> Option<&'a [Line; BLOCK_LINES]> {
        self.scales[..self.scales.len() / 2].get(group)
    }

    /// The scales of group `group` of the values; `None` if it has none.
    #[inline(always)]
    fn value_scales(&self, group: usize) -> Option<&'a [Line; BLOCK_LINES]> {
        self.scales[self.scales.len() / 2..].get(group)
    }
}

/// Queries whose sums are computed together.
pub(super) struct Tile<'a, const N: usize> {
    /// Element by element.
    pub(super) queries: &'a [[f32; N]],
    /// Which positions of the step each sees.
    pub(super) seen: [Range<usize>; N],
    /// Sums of weighted values, (N, lines of a value).
    pub(super) sums: &'a mut [Line],
    /// The greatest score so far of each.
    pub(super) greatest: &'a mut [f32; N],
    /// The sum of the weights of each, in lanes.
    pub(super) totals: &'a mut [Line; N],
}

impl<const N: usize> Tile<'_, N> {
    /// Takes in the blocks of a step, `M` lines at a time, and asks for the cells of the `next` one meanwhile.
    #[inline(always)]
    pub(super) fn take_in<L: Lanes, S: Sixteen, const M: usize>(
        &mut self,
        blocks: [Block<S>; STEP_BLOCKS],
        next: [&[S]; STEP_BLOCKS],
    ) {
        // Positions that no query of the tile sees may never have been written.
        let start = self.seen.iter().map(|seen| seen.start).min().unwrap_or(0);
        let end = self.seen.iter().map(|seen| seen.end).max().unwrap_or(0);
        let mut scores = [[[f32::NEG_INFINITY; WIDTH]; STEP_LINES]; N];
        for line in (0..STEP_LINES).step_by(M) {
            if line * WIDTH < end && (line + M) * WIDTH > start {
                self.score::<L, S, M>(blocks, next, line, &mut scores);
            }
        }
        let decays = self.weigh::<L>(&mut scores);
        let (weights, n_lines) = (scores, self.sums.len() / N);
        let seen = |block: usize| {
            let within = |pos: usize| pos.saturating_sub(block * BLOCK_LEN).min(BLOCK_LEN);
            within(start)..within(end)
        };
        let (values, rows) = (blocks.map(|block| block.values()), [seen(0), seen(1)]);
        let next = next.map(|next| next.get(blocks[0].head_dim * BLOCK_LINES..).unwrap_or_default());
        let mut mix = Mix { values, next, rows, decays, sums: &mut *self.sums };
        let mut line = 0;
        while line < n_lines {
            let [a, b] = blocks.map(|block| block.value_scales(line / GROUP_LINES));
            let of_group;
            let (weights, most) = match a.zip(b) {
                Some((a, b)) => {
                    of_group = scaled::<L, N>(&weights, [a, b]);
                    (&of_group, GROUP_LINES)
                }
                None => (&weights, M),
            };
            line += match most.min(n_lines - line) {
                n if n >= M => mix.add::<L, M>(weights, line),
                n if n >= 2 && M > 2 => mix.add::<L, 2>(weights, line),
                _ => mix.add::<L, 1>(weights, line),
            };
        }
    }

    /// Writes the products with the keys of `M` lines of positions from `line` on to `scores`.
    #[inline(always)]
    fn score<L: Lanes, S: Sixteen, const M: usize>(
        &self,
        blocks: [Block<S>; STEP_BLOCKS],
        next: [&[S]; STEP_BLOCKS],
        line: usize,
        scores: &mut [Each; N],
    ) {
        let queries = self.queries;
        let keys = blocks.map(|block| &block.keys()[..queries.len()]);
        let group_len = if blocks[0].scales.is_empty() { queries.len() } else { GROUP_LEN };
        let mut all = [[L::splat(0.0); M]; N];
        for start in (0..queries.len()).step_by(group_len) {
            let mut sums = [[L::splat(0.0); M]; N];
            for e in start..(start + group_len).min(queries.len()) {
                let mut key = [L::splat(0.0); M];
                for (m, key) in key.iter_mut().enumerate() {
                    let (block, at) = ((line + m) / BLOCK_LINES, (line + m) % BLOCK_LINES);
                    *key = keys[block][e][at].load::<L>();
                    ask::<L, S>(next[block], e * BLOCK_LINES + at);
                }
                for i in 0..N {
                    let x = L::splat(queries[e][i]);
                    for m in 0..M {
                        sums[i][m] = x.mul_add(key[m], sums[i][m]);
                    }
                }
            }
            for m in 0..M {
                let (block, at) = ((line + m) / BLOCK_LINES, (line + m) % BLOCK_LINES);
                let scale = blocks[block].key_scales(start / group_len).map(|scale| L::load(&scale[at].0));
                for i in 0..N {
                    all[i][m] = match scale {
                        Some(scale) => sums[i][m].mul_add(scale, all[i][m]),
                        None => sums[i][m],
                    };
                }
            }
        }
        for i in 0..N {
            for m in 0..M {
                all[i][m].store(&mut scores[i][line + m]);
            }
        }
    }

    /// Makes weights of scores, and tells by which factors the sums so far shrink.
    #[inline(always)]
    fn weigh<L: Lanes>(&mut self, scores: &mut [Each; N]) -> [f32; WIDTH] {
        let mut decays = [0.0; WIDTH];
        for i in 0..N {
            let mut lines = [L::splat(0.0); STEP_LINES];
            for m in 0..STEP_LINES {
                lines[m] = L::load(&scores[i][m]);
            }
            if self.seen[i] != (0..STEP_LEN) {
                let before = LIMITS[2 * STEP_LEN - self.seen[i].end..].as_chunks().0;
                let from = LIMITS[STEP_LEN - self.seen[i].start..].as_chunks().0;
                for m in 0..STEP_LINES {
                    lines[m] = lines[m].min(L::load(&before[m])).min(L::load(&from[m]));
                    lines[m].store(&mut scores[i][m]);
                }
            }
            let top = lines[0].max(lines[1]).max(lines[2].max(lines[3])).greatest();
            let top = if top > self.greatest[i] { top } else { self.greatest[i] };
            decays[i] = self.greatest[i] - top;
            self.greatest[i] = top;
        }
        // Where a query has seen nothing yet this is 0, since the power of what is not a number is.
        L::load(&decays).exp2().store(&mut decays);
        for i in 0..N {
            let top = L::splat(self.greatest[i]);
            let mut lines = [L::splat(0.0); STEP_LINES];
            for m in 0..STEP_LINES {
                lines[m] = L::load(&scores[i][m]).sub(top).exp2();
                lines[m].store(&mut scores[i][m]);
            }
            let sum = lines[0].add(lines[1]).add(lines[2].add(lines[3]));
            L::load(&self.totals[i].0).mul_add(L::splat(decays[i]), sum).store(&mut self.totals[i].0);
        }
        decays
    }
}

/// Weights of the positions of a step, times the scales of a group of its values.
#[inline(always)]
fn scaled<L: Lanes, const N: usize>(weights: &[Each; N], scales: [&[Line; BLOCK_LINES]; STEP_BLOCKS]) -> [Each; N] {
    let mut out = *weights;
    for each in &mut out {
        for (line, weights) in each.iter_mut().enumerate() {
            let scale = L::load(&scales[line / BLOCK_LINES][line % BLOCK_LINES].0);
            L::load(weights).mul(scale).store(weights);
        }
    }
    out
}

/// Adding weighted values of the blocks of a step to the sums of a tile.
struct Mix<'a, S, const N: usize> {
    /// The values of each block.
    values: [&'a [S]; STEP_BLOCKS],
    /// The same of the blocks of the next step.
    next: [&'a [S]; STEP_BLOCKS],
    /// Which positions of each block any query sees.
    rows: [Range<usize>; STEP_BLOCKS],
    /// What the sums so far are multiplied with.
    decays: [f32; WIDTH],
    /// (N, lines of a value)
    sums: &'a mut [Line],
}

impl<S: Sixteen, const N: usize> Mix<'_, S, N> {
    /// Adds `M` lines of values from `line` on: so many.
    #[inline(always)]
    fn add<L: Lanes, const M: usize>(&mut self, weights: &[Each; N], line: usize) -> usize {
        let n_lines = self.sums.len() / N;
        let mut mixed = [[L::splat(0.0); M]; N];
        let sums = self.sums.chunks_exact(n_lines).zip(self.decays);
        for (mixed, (sums, decay)) in mixed.iter_mut().zip(sums) {
            for (mixed, sum) in mixed.iter_mut().zip(&sums[line..]) {
                *mixed = L::load(&sum.0).mul(L::splat(decay));
            }
        }
        for block in 0..STEP_BLOCKS {
            let (values, next) = (self.values[block], self.next[block]);
            for pos in self.rows[block].clone() {
                let row: &[S; M] = values[pos * n_lines + line..].first_chunk().expect("a row of every position");
                // No closure here: the compiler would not inline it, and then no intrinsic either.
                let mut lines = [L::splat(0.0); M];
                for m in 0..M {
                    lines[m] = row[m].load::<L>();
                    ask::<L, S>(next, pos * n_lines + line + m);
                }
                for i in 0..N {
                    let weight = L::splat(weights[i].as_flattened()[block * BLOCK_LEN + pos]);
                    for m in 0..M {
                        mixed[i][m] = weight.mul_add(lines[m], mixed[i][m]);
                    }
                }
            }
        }
        for (mixed, sums) in mixed.iter().zip(self.sums.chunks_exact_mut(n_lines)) {
            for (mixed, sum) in mixed.iter().zip(&mut sums[line..]) {
                mixed.store(&mut sum.0);
            }
        }
        M
    }
}
