//! A load test for people.

use super::{Arrivals, Counted, Level, Percentiles, Summary};
use crate::bench::Grid;

/// A row for each level.
pub fn table(summaries: &[Summary]) -> Grid {
    let mut grid = Grid::new(&[
        "load",
        "requests/s",
        "tokens/s",
        "first token ms p50 / p90 / p99",
        "between tokens ms",
        "end to end ms",
        "errors",
    ]);
    for summary in summaries {
        grid.push(vec![
            load(summary.level),
            format!("{:.2}", summary.requests_per_sec),
            format!("{:.1}", summary.tokens_per_sec),
            three(summary.first_token_ms),
            three(summary.between_tokens_ms),
            three(summary.end_to_end_ms),
            format!("{} of {}", summary.n_requests - summary.n_answered, summary.n_requests),
        ]);
    }
    grid
}

/// What the table does not show, a line each: errors by kind, who counted tokens, what chunks hold.
pub fn notes(summaries: &[Summary]) -> Vec<String> {
    let mut notes = Vec::new();
    for summary in summaries {
        let load = load(summary.level);
        for (kind, failures) in &summary.failures {
            notes.push(format!("{load}: {} failed: {kind}: {}", failures.n, failures.example));
        }
        match summary.counted {
            Some(Counted::Chunks) => {
                notes.push(format!("{load}: the server does not count tokens, chunks were counted"))
            }
            Some(Counted::Both) => notes.push(format!("{load}: the server counts the tokens of some answers only")),
            Some(Counted::Usage) | None => {}
        }
        if let Some(n) = summary.tokens_per_chunk.filter(|n| (n - 1.0).abs() > 0.05) {
            notes
                .push(format!("{load}: a chunk has {n:.2} tokens on average; times between tokens are between chunks"));
        }
        if summary.interrupted {
            notes.push(format!("{load}: interrupted after {} requests", summary.n_requests));
        }
    }
    notes
}

fn load(level: Level) -> String {
    match level {
        Level::Concurrency { n: 1 } => "1 client".into(),
        Level::Concurrency { n } => format!("{n} clients"),
        Level::Rate { per_sec, arrivals: Arrivals::Constant } => format!("{per_sec}/s"),
        Level::Rate { per_sec, arrivals: Arrivals::Poisson } => format!("{per_sec}/s, Poisson"),
    }
}

fn three(percentiles: Option<Percentiles>) -> String {
    let number = |value: f64| if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
    percentiles.map_or("–".into(), |Percentiles { p50, p90, p99 }| {
        format!("{} / {} / {}", number(p50), number(p90), number(p99))
    })
}
