//! taper.
fn main() {}
