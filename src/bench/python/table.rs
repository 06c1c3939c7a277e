//! The comparison for people.

use super::{Agreement, Ours, Outcome, Report, Side};
use crate::bench::Grid;

/// A row for us and a row for each side that was measured. What is in parentheses says how many times better we are.
pub fn table(ours: &Ours, outcomes: &[Outcome]) -> Grid {
    let mut grid =
        Grid::new(&["engine", "prompt t/s", "generation t/s", "first token ms", "peak MiB", "installed MiB", "tokens"]);
    grid.push(vec![
        "taper".into(),
        rate(Some(ours.prompt_tokens_per_sec)),
        rate(ours.generation_tokens_per_sec),
        format!("{:.0}", ours.first_token_from_exec_ms),
        mib(ours.peak_rss_bytes),
        mib(Some(ours.installed_bytes)),
        String::new(),
    ]);
    for outcome in outcomes {
        if let Ok(report) = &outcome.result {
            grid.push(row(outcome.side.name(), report));
        }
    }
    grid
}

fn row(name: &str, report: &Report) -> Vec<String> {
    let ratios = report.ratios;
    let beside = |text: String, ratio: Option<f64>| match ratio {
        Some(ratio) => format!("{text} ({}×)", times(ratio)),
        None => text,
    };
    vec![
        name.into(),
        beside(rate(Some(report.prompt_tokens_per_sec)), ratios.map(|ratios| ratios.prompt)),
        beside(rate(report.generation_tokens_per_sec), ratios.and_then(|ratios| ratios.generation)),
        beside(format!("{:.0}", report.first_token_from_exec_ms), ratios.map(|ratios| ratios.first_token)),
        beside(mib(report.peak_rss_bytes), ratios.and_then(|ratios| ratios.memory)),
        beside(mib(Some(report.installed_bytes)), ratios.map(|ratios| ratios.installed)),
        report.agreement.describe(),
    ]
}

/// What the table does not show, a line each: what differs, whose tokens are others, who was not measured and why.
pub fn notes(ours: &Ours, outcomes: &[Outcome]) -> Vec<String> {
    let mut notes = vec![
        format!("taper {}: {}, {} threads", env!("CARGO_PKG_VERSION"), ours.precision, ours.threads),
        "(n×): taper is n times as fast, as soon, or as small".to_string(),
    ];
    for outcome in outcomes {
        let name = outcome.side.name();
        match &outcome.result {
            Ok(report) => {
                notes.push(format!("{name}: {}", described(ours, report)));
                notes.extend(doubt(&report.agreement).map(|text| format!("{name}: {text}")));
                notes.extend(format_note(outcome.side, report).map(|text| format!("{name}: {text}")));
            }
            Err(error) => notes.push(format!("{name}: not measured: {error}")),
        }
    }
    notes
}

fn described(ours: &Ours, report: &Report) -> String {
    let mut parts = vec![report.precision.clone()];
    parts.push(match report.threads {
        n if n == ours.threads => format!("{n} threads"),
        n => format!("{n} threads instead of {}", ours.threads),
    });
    parts.extend(report.versions.iter().map(|(name, version)| format!("{name} {version}")));
    parts.push(format!(
        "start: {:.0} ms of imports, {:.0} ms of loading; log-probabilities of the same tokens differ by {:.4} on average",
        report.import_ms, report.load_ms, report.mean_logprob_difference
    ));
    parts.join(", ")
}

/// What is to be said of a format that is not the file's.
fn format_note(side: Side, report: &Report) -> Option<String> {
    match report.conversion_ms {
        Some(ms) => Some(format!(
            "measured with the weights of the file as safetensors, which it loads faster; to import, to load the GGUF file \
             and to save it so took {:.1} s, which are in no number",
            ms / 1e3
        )),
        None if side.converts() => Some(format!(
            "measured with the GGUF file itself, though it starts sooner and smaller with safetensors: {}",
            report.conversion_error.as_deref().unwrap_or("there is no folder for them")
        )),
        None => None,
    }
}

/// What is to be said of tokens that are not all the same.
fn doubt(agreement: &Agreement) -> Option<String> {
    match agreement {
        Agreement::Same => None,
        Agreement::NearTies { first, n_steps, widest_nats } => Some(format!(
            "at {n_steps} tokens, the first of them number {first}, it chooses another that both engines hold for tied, \
             within {widest_nats:.3} nats"
        )),
        Agreement::Differ { at, ours, theirs, their_gap_nats, our_gap_nats } => {
            let our_gap = our_gap_nats.map_or("not among the likeliest".into(), |gap| format!("{gap:.3} nats behind"));
            Some(format!(
                "its tokens differ, so there is no comparison: token number {at} is `{theirs}` instead of `{ours}`, which \
                 is {their_gap_nats:.3} nats behind for it, while for us its token is {our_gap}"
            ))
        }
    }
}

fn rate(per_sec: Option<f64>) -> String {
    per_sec.map_or("–".into(), |rate| if rate < 100.0 { format!("{rate:.2}") } else { format!("{rate:.1}") })
}

fn times(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

fn mib(bytes: Option<u64>) -> String {
    bytes.map_or("–".into(), |bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20)))
}
