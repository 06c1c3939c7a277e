//! Rotary position embedding.

use super::Cpu;
use crate::{
    backend::{Layout, Norm, Pairing, Rope},
    kernels::{Isa, vector},
};

/// Cosines and sines of the positions of a batch.
#[derive(Debug, Default)]
pub struct Rotation {
    /// The angles of a row, head_dim / 2.
    n_pairs: usize,
    /// Cosine and sine of each angle, (n_rows, n_pairs).
    turns: Vec<[f32; 2]>,
}

impl Rotation {
    pub(super) fn fill(&mut self, rope: &Rope, layout: &Layout) {
        self.n_pairs = rope.frequencies.len();
        self.turns.clear();
        self.turns.extend(layout.positions().flat_map(|pos| {
            rope.frequencies.iter().map(move |frequency| {
                let (sin, cos) = (pos as f32 * frequency).sin_cos();
                [cos * rope.magnitude, sin * rope.magnitude]
            })
        }));
    }
}

/// What happens to each head before it is used: a norm where the model has one, then the rotation.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) norm: Option<&'a Norm<Cpu>>,
    pub(super) pairing: Pairing,
    pub(super) rotation: &'a Rotation,
}

impl Turn<'_> {
    /// Turns a head of row `row` of the batch; `spare` is memory to work in.
    pub(super) fn apply(&self, isa: Isa, row: usize, head: &mut [f32], spare: &mut Vec<f32>) {
        if let Some(norm) = self.norm {
            spare.clear();
            spare.extend_from_slice(head);
            vector::rms_norm(isa, spare, &norm.weight, norm.eps, head);
        }
        let turns = &self.rotation.turns[row * self.rotation.n_pairs..][..self.rotation.n_pairs];
        match self.pairing {
            Pairing::Adjacent => {
                for ([a, b], turn) in head.as_chunks_mut().0.iter_mut().zip(turns) {
                    (*a, *b) = turned(*a, *b, turn);
                }
            }
            Pairing::Halves => {
                let (low, high) = head.split_at_mut(self.rotation.n_pairs);
                for ((a, b), turn) in low.iter_mut().zip(high).zip(turns) {
                    (*a, *b) = turned(*a, *b, turn);
                }
            }
        }
    }
}

fn turned(a: f32, b: f32, [cos, sin]: &[f32; 2]) -> (f32, f32) {
    (a * cos - b * sin, b * cos + a * sin)
}
