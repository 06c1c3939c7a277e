//! The Hub without the network: references, the choice of files, pins, the cache and keeping it in order.

mod cache;
mod commands;
mod pins;
mod prune;
mod python;
mod reference;
mod remove;
mod select;
mod verify;
