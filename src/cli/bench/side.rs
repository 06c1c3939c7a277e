//! This program as one side of a comparison with Python: a job on standard input, numbers on standard output.

use super::{
    super::{exit::Exit, output::Output},
    Args,
};
use crate::bench::python;
use std::{
    io::{self, BufRead},
    process, thread,
};

/// Does the job that the first line of standard input has.
pub(super) fn execute(args: &Args, output: &Output) -> anyhow::Result<Exit> {
    let mut orders = String::new();
    io::stdin().lock().read_line(&mut orders)?;
    // Whoever has started this process keeps its standard input open; once it is closed nobody wants the numbers.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(Exit::Failed as i32);
    });
    let files = args.model.open(output)?;
    python::work(&files, args.compute(args.thread_counts()[0]), &orders, &mut |line| output.answer(line))?;
    Ok(Exit::Done)
}
