//! Fetching from a Hub that is on the loopback interface.

mod cli;
mod faults;
mod fixture;
mod kill;
mod proxy;
mod python;
mod tls;
