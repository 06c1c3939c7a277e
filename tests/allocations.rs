//! A token allocates nothing once the buffers are as large as they get. A binary of its own, since it counts for all
//! threads of the process.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

#[allow(dead_code, reason = "the other integration tests use the rest")]
#[path = "it/support/mod.rs"]
mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use support::tiny::{Architecture, TinyModel, Types};
use taper::{
    backend::Cpu,
    bench::{Lab, Test, Wall, Work},
    gguf::Gguf,
    model::{Batch, Forward, SequenceId, Source, Transformer},
    tensor::{Bytes, Dtype},
};

/// The system's allocator, counted.
struct Counted;

static N_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Held by the test that counts.
static COUNTING: Mutex<()> = Mutex::new(());

#[expect(unsafe_code, reason = "that is how an allocator is written")]
// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller has it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller has it.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

#[test]
fn a_token_allocates_nothing() {
    let _counting = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let sequence = SequenceId(0);
    let models = [
        (Architecture::Llama, Types::Q4KM),
        (Architecture::Qwen2, Types::Only(Dtype::Q5_0)),
        (Architecture::Qwen3, Types::Only(Dtype::BF16)),
    ];
    for (architecture, types) in models {
        let gguf = Gguf::from_bytes(Bytes::from(TinyModel::new(architecture, types).gguf())).unwrap();
        let mut model = Transformer::load(&Source::Gguf(gguf), Cpu::new(2).unwrap(), 512).unwrap();
        let mut logits = Vec::new();
        model.forward(&Batch::last(sequence, &[1; 200]), &mut logits).unwrap();
        let token = Batch::last(sequence, &[1]);
        let mut count = || {
            model.truncate(sequence, 200);
            let before = N_ALLOCATIONS.load(Ordering::Relaxed);
            (0..20).for_each(|_| model.forward(&token, &mut logits).unwrap());
            N_ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        // A thread that chance gave no work so far still has to make its buffers.
        let fewest = (0..50).map(|_| count()).min();
        assert_eq!(fewest, Some(0), "allocations of 20 tokens, {architecture:?}");
    }
}

#[test]
fn a_sample_of_a_benchmark_allocates_nothing() {
    let _counting = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let gguf = Gguf::from_bytes(Bytes::from(TinyModel::new(Architecture::Llama, Types::Q4KM).gguf())).unwrap();
    let mut model = Transformer::load(&Source::Gguf(gguf), Cpu::new(2).unwrap(), 2048).unwrap();
    let clock = Wall::new();
    let mut lab = Lab::new(&mut model, &[1, 2, 3], &clock, &|| false);
    for work in [Work::Prompt(600), Work::Generation(20)] {
        let test = Test { work, n_depth: 100, n_batch: 2, n_threads: 2 };
        let ControlFlow::Continue(mut ready) = lab.prepare(test).unwrap() else { panic!("nobody stops it") };
        let mut count = || {
            let before = N_ALLOCATIONS.load(Ordering::Relaxed);
            assert!(lab.sample(&mut ready).unwrap().is_continue());
            N_ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        let fewest = (0..20).map(|_| count()).min();
        assert_eq!(fewest, Some(0), "allocations of a sample of {test}");
    }
}
