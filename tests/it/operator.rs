//! `taper serve` as operators see it: logs, traces, metrics, limits, signals, and what clients do to it.

#[cfg(unix)]
mod chaos;
#[cfg(unix)]
mod life;
mod limits;
mod logs;
mod page;
#[cfg(unix)]
mod scale_out;
mod traces;
