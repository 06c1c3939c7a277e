//! Which tests a benchmark runs.

use crate::backend::BLOCK_LEN;
use std::fmt;

/// What to measure. Every combination of the lists is a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Lengths of prompts; 0 leaves the test out.
    pub n_prompt: Vec<usize>,
    /// Numbers of tokens to generate; 0 leaves the test out.
    pub n_gen: Vec<usize>,
    /// Tokens that each sequence has in the cache before.
    pub n_depth: Vec<usize>,
    /// Sequences at once.
    pub n_batch: Vec<usize>,
    /// Threads.
    pub n_threads: Vec<usize>,
    /// Samples of each test.
    pub n_samples: usize,
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// What is done.
    pub work: Work,
    /// Tokens that each sequence has in the cache before.
    pub n_depth: usize,
    /// Sequences at once.
    pub n_batch: usize,
    /// Threads.
    pub n_threads: usize,
}

/// What a test does with each sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// Reads so many tokens of a prompt.
    Prompt(usize),
    /// Generates so many tokens, one after the other.
    Generation(usize),
}

impl Plan {
    /// The tests, those of the same number of threads together.
    pub fn tests(&self) -> Vec<Test> {
        let prompts = self.n_prompt.iter().map(|&n| Work::Prompt(n));
        let generations = self.n_gen.iter().map(|&n| Work::Generation(n));
        let works: Vec<Work> = prompts.chain(generations).filter(|work| work.n_tokens() > 0).collect();
        let mut tests = Vec::new();
        for &n_threads in &self.n_threads {
            for &n_depth in &self.n_depth {
                for &n_batch in &self.n_batch {
                    tests.extend(works.iter().map(|&work| Test { work, n_depth, n_batch, n_threads }));
                }
            }
        }
        tests
    }

    /// Whether there is something that a picture can have from left to right.
    pub fn varies(&self) -> bool {
        let varies = |list: &[usize]| list.iter().any(|n| *n != list[0]);
        varies(&self.n_depth) || varies(&self.n_batch) || varies(&self.n_threads)
    }
}

impl Test {
    /// Tokens that one sample counts, over all sequences.
    pub fn n_tokens(&self) -> usize {
        self.n_batch.saturating_mul(self.work.n_tokens())
    }

    /// The length that a sequence has in the end.
    pub fn longest(&self) -> usize {
        self.n_depth.saturating_add(self.work.n_tokens())
    }

    /// Positions that the cache needs over all sequences, each in blocks of its own.
    pub fn n_ctx(&self) -> usize {
        self.longest().div_ceil(BLOCK_LEN).saturating_mul(BLOCK_LEN).saturating_mul(self.n_batch)
    }
}

impl Work {
    /// Tokens of each sequence.
    pub fn n_tokens(self) -> usize {
        let (Work::Prompt(n) | Work::Generation(n)) = self;
        n
    }
}

/// As llama-bench writes it: `pp512`, `tg128 @ d4096`; with more than one sequence also `tg128 × 8`.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.work {
            Work::Prompt(n) => write!(f, "pp{n}")?,
            Work::Generation(n) => write!(f, "tg{n}")?,
        }
        if self.n_batch > 1 {
            write!(f, " × {}", self.n_batch)?;
        }
        if self.n_depth > 0 {
            write!(f, " @ d{}", self.n_depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            n_prompt: vec![512],
            n_gen: vec![128],
            n_depth: vec![0],
            n_batch: vec![1],
            n_threads: vec![2],
            n_samples: 5,
        }
    }

    #[test]
    fn every_combination_is_a_test() {
        let plan = Plan { n_prompt: vec![128, 512], n_depth: vec![0, 64], n_batch: vec![1, 8], ..plan() };
        let tests = plan.tests();
        assert_eq!(tests.len(), 3 * 2 * 2);
        let names: Vec<String> = tests.iter().map(ToString::to_string).collect();
        assert_eq!(names[..4], ["pp128", "pp512", "tg128", "pp128 × 8"]);
        assert_eq!(names[11], "tg128 × 8 @ d64");
    }

    #[test]
    fn a_list_of_one_value_does_not_vary() {
        assert!(!Plan { n_prompt: vec![1, 2], n_depth: vec![7, 7], ..plan() }.varies());
        assert!(Plan { n_batch: vec![1, 2], ..plan() }.varies());
    }

    #[test]
    fn zero_leaves_a_kind_of_test_out() {
        let names = |plan: Plan| plan.tests().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(Plan { n_prompt: vec![0], ..plan() }), ["tg128"]);
        assert_eq!(names(Plan { n_gen: vec![0], ..plan() }), ["pp512"]);
    }

    #[test]
    fn the_cache_has_room_for_whole_blocks_of_each_sequence() {
        let test = Test { work: Work::Generation(1), n_depth: BLOCK_LEN, n_batch: 3, n_threads: 1 };
        assert_eq!((test.n_tokens(), test.longest(), test.n_ctx()), (3, BLOCK_LEN + 1, 6 * BLOCK_LEN));
        let endless = Test { n_depth: usize::MAX, ..test };
        assert_eq!(endless.n_ctx(), usize::MAX);
    }
}
