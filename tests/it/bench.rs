//! Benchmarks: the same work as the engine does, verdicts that can be relied on, and reports as scripts read them.

mod agreement;
mod cli;
mod fake;
mod gate;
mod lab;
mod servers;
