//! The Hub without the network: references, the choice of files, the cache.

mod cache;
mod reference;
mod select;
