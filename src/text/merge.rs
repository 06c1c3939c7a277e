//! Joins neighbouring symbols, best pair first, until no pair is left: the core of both BPE and SPM.
//!
//! Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units" (2016); with a queue of pairs
//! over a linked list of symbols a word of n symbols takes O(n log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The symbols of one word, kept between words so that its memory is.
#[derive(Default)]
pub(crate) struct Merger {
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Reverse<Pair>>,
}

/// A part of the word. One that was joined to the symbol before it has length 0.
#[derive(Clone, Copy)]
struct Symbol {
    start: u32,
    len: u32,
    previous: u32,
    next: u32,
}

/// The symbol at `left` and the one after it. Least is first: the best priority, then the leftmost.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    priority: u32,
    left: u32,
    /// Bytes of both; a pair one of whose symbols has changed since has other ones.
    len: u32,
}

/// No symbol.
const NONE: u32 = u32::MAX;

impl Merger {
    /// Hands to `symbol` the parts of `text`, which at first are `lens` bytes long each, after all joins.
    ///
    /// `priority` gets two neighbours as one slice and where the second begins, and gives the priority of joining them,
    /// least first, or `None`. `text` is shorter than 4 GiB.
    pub(crate) fn merge(
        &mut self,
        text: &[u8],
        lens: impl Iterator<Item = usize>,
        mut priority: impl FnMut(&[u8], usize) -> Option<u32>,
        mut symbol: impl FnMut(&[u8]),
    ) {
        self.start(lens);
        for left in 0..self.symbols.len() as u32 {
            self.consider(left, text, &mut priority);
        }
        while let Some(Reverse(pair)) = self.queue.pop() {
            let (left, right) = self.neighbours(pair.left);
            if left.len == 0 || right.is_none_or(|right| left.len + right.len != pair.len) {
                continue;
            }
            self.join(pair.left);
            if left.previous != NONE {
                self.consider(left.previous, text, &mut priority);
            }
            self.consider(pair.left, text, &mut priority);
        }
        for part in self.symbols.iter().filter(|part| part.len > 0) {
            symbol(&text[part.start as usize..][..part.len as usize]);
        }
    }

    fn start(&mut self, lens: impl Iterator<Item = usize>) {
        self.symbols.clear();
        self.queue.clear();
        let mut start = 0;
        for (i, len) in lens.enumerate() {
            let (i, len) = (i as u32, len as u32);
            self.symbols.push(Symbol { start, len, previous: i.wrapping_sub(1), next: i + 1 });
            start += len;
        }
        if let Some(last) = self.symbols.last_mut() {
            last.next = NONE;
        }
    }

    fn neighbours(&self, left: u32) -> (Symbol, Option<Symbol>) {
        let left = self.symbols[left as usize];
        (left, self.symbols.get(left.next as usize).copied())
    }

    /// Queues the pair whose first symbol is `left`, if it can be joined.
    fn consider(&mut self, left: u32, text: &[u8], priority: &mut impl FnMut(&[u8], usize) -> Option<u32>) {
        let (first, Some(second)) = self.neighbours(left) else { return };
        let len = first.len + second.len;
        let both = &text[first.start as usize..][..len as usize];
        if let Some(priority) = priority(both, first.len as usize) {
            self.queue.push(Reverse(Pair { priority, left, len }));
        }
    }

    /// Makes the symbol after `left` a part of it.
    fn join(&mut self, left: u32) {
        let right = self.symbols[left as usize].next;
        let Symbol { len, next, .. } = self.symbols[right as usize];
        self.symbols[right as usize].len = 0;
        self.symbols[left as usize].len += len;
        self.symbols[left as usize].next = next;
        if next != NONE {
            self.symbols[next as usize].previous = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Merger;

    /// The textbook algorithm, quadratic: find the best pair, join it, begin again.
    fn slow(text: &[u8], priority: impl Fn(&[u8], usize) -> Option<u32>) -> Vec<Vec<u8>> {
        let mut parts: Vec<Vec<u8>> = text.iter().map(|&b| vec![b]).collect();
        loop {
            let best = (1..parts.len())
                .filter_map(|i| Some((priority(&parts[i - 1..=i].concat(), parts[i - 1].len())?, i)))
                .min();
            let Some((_, i)) = best else { return parts };
            let right = parts.remove(i);
            parts[i - 1].extend(right);
        }
    }

    proptest::proptest! {
        #[test]
        fn joins_the_best_pair_first_as_the_textbook_does(text in "[abc]{0,24}", seed in 0u32..1000) {
            // Any pair can be joined or not, by a priority that depends on its bytes and its split.
            let priority = |both: &[u8], at: usize| {
                let hash = both.iter().fold(seed + at as u32, |h, &b| h.wrapping_mul(31).wrapping_add(b.into()));
                (hash % 3 != 0).then_some(hash % 7)
            };
            let mut parts = Vec::new();
            Merger::default().merge(text.as_bytes(), text.bytes().map(|_| 1), priority, |part| parts.push(part.to_vec()));
            proptest::prop_assert_eq!(parts, slow(text.as_bytes(), priority));
        }
    }
}
