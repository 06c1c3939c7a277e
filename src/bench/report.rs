//! What a benchmark reports: its tests, and sections that other measurements add.

use super::{Grid, Origin, Row, Subject, stats};

/// All results of a benchmark.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What made it; for the heading where there are no tests, and for the records of the sections.
    pub origin: Option<Origin>,
    /// The tests.
    pub rows: Vec<Row>,
    /// What else was measured, such as other engines on the same model.
    pub sections: Vec<Section>,
    /// What a reader should know before believing the numbers.
    pub notes: Vec<String>,
    /// Whether tables show what the machine can do.
    pub with_ceilings: bool,
}

/// Results of another kind than tests.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What they are.
    pub title: String,
    /// The model here that they are of, if any.
    pub subject: Option<Subject>,
    /// For people.
    pub table: Grid,
    /// For programs: objects that follow those of the tests.
    pub records: Vec<serde_json::Value>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.sections.is_empty()
    }

    /// One line on what was measured and on what.
    pub fn heading(&self) -> String {
        let Some(row) = self.rows.first() else {
            let Some(origin) = &self.origin else { return String::new() };
            let subject = self.sections.iter().find_map(|section| section.subject.as_ref());
            let model = subject.map(|subject| format!("{}; ", subject.describe())).unwrap_or_default();
            return format!("{model}{}; {}", origin.machine.cpu_info, origin.program());
        };
        format!(
            "{}; {} {} on {}; {}",
            row.subject.describe(),
            row.device,
            row.isa.unwrap_or_default(),
            row.origin.machine.cpu_info,
            row.origin.program(),
        )
    }

    /// What is not per test: load, first token, memory, sampling, tokenization.
    pub fn particulars(&self) -> Vec<String> {
        let Some(row) = self.rows.first() else { return Vec::new() };
        let mut lines = vec![format!("load {:.1} ms", row.load_ms)];
        if let Some(ms) = row.first_token_from_exec_ms {
            lines.push(format!("process start to first token {ms:.0} ms"));
        }
        if let Some(bytes) = self.rows.iter().filter_map(|row| row.peak_rss_bytes).max() {
            lines.push(format!("peak memory {:.0} MB", bytes as f64 / 1e6));
        }
        if let Some(us) = self.rows.iter().find_map(|row| row.sampling_us_per_token) {
            lines.push(format!("sampling {us:.0} µs a token (not in tokens/s)"));
        }
        if let Some(us) = row.tokenization_us_per_token {
            lines.push(format!("tokenization {us:.2} µs a token"));
        }
        vec![lines.join(", ")]
    }

    /// The tests as a table, with only the columns that have something to say.
    pub fn table(&self) -> Grid {
        let columns: [(&str, &Cell); 11] = [
            ("test", &|row| Some(row.test.clone())),
            ("threads", &|row| Some(row.n_threads.to_string())),
            ("tokens/s", &|row| Some(rate(row.median_ts))),
            ("95 % interval", &|row| Some(format!("{} to {}", rate(row.median_ts_low?), rate(row.median_ts_high?)))),
            ("deviation", &|row| {
                (row.samples_ts.len() > 1).then(|| format!("{:.1} %", 100.0 * row.stddev_ts / row.avg_ts))
            }),
            ("MB/token", &|row| Some(format!("{:.1}", row.bytes_per_token? / 1e6))),
            ("of bandwidth", &|row| percent(row.bandwidth_fraction)),
            ("of int8 peak", &|row| percent(row.compute_fraction)),
            ("read GB/s", &|row| Some(format!("{:.1}", median(&row.read_bytes_per_sec)? / 1e9))),
            ("int8 TOP/s", &|row| Some(format!("{:.2}", median(&row.int8_operations_per_sec)? / 1e12))),
            ("J/token", &|row| Some(format!("{:.3}", row.joules_per_token?))),
        ];
        let is_ceiling = |name: &str| ["read GB/s", "int8 TOP/s"].contains(&name);
        let is_shown = |name, cell: &Cell| {
            (self.with_ceilings || !is_ceiling(name)) && self.rows.iter().any(|row| cell(row).is_some())
        };
        let (names, cells): (Vec<&str>, Vec<&Cell>) =
            columns.iter().filter(|(name, cell)| is_shown(name, cell)).copied().unzip();
        let mut table = Grid::new(&names);
        for row in &self.rows {
            table.push(cells.iter().map(|cell| cell(row).unwrap_or_default()).collect());
        }
        table
    }

    /// The notes, and a line for each test with samples that are unlike the others.
    pub fn all_notes(&self) -> Vec<String> {
        let outliers = self.rows.iter().filter(|row| !row.outliers.is_empty()).map(|row| {
            let name = format!("{} with {}", row.test, threads(row.n_threads));
            let named = |&i: &usize| format!("{} of sample {}", rate(row.samples_ts[i]), i + 1);
            let list: Vec<String> = row.outliers.iter().map(named).collect();
            format!("{name}: unlike the other samples are {} tokens/s", list.join(", "))
        });
        self.notes.iter().cloned().chain(outliers).collect()
    }
}

impl Subject {
    /// In a few words, with its hash.
    pub fn describe(&self) -> String {
        let sha256 = self.model_sha256.as_ref().map(|hash| format!(", sha256 {hash}")).unwrap_or_default();
        format!(
            "{}: {}, {}B, {} parameters{sha256}",
            self.model_filename,
            self.model_type,
            short(self.model_size),
            short(self.model_n_params),
        )
    }
}

/// How to fill a cell; `None` if there is nothing to say.
type Cell = dyn Fn(&Row) -> Option<String>;

/// So many threads.
pub fn threads(n: usize) -> String {
    format!("{n} thread{}", if n == 1 { "" } else { "s" })
}

/// A large number for people, such as `1.24 G`.
fn short(n: usize) -> String {
    match n {
        1_000_000_000.. => format!("{:.2} G", n as f64 / 1e9),
        _ => format!("{:.1} M", n as f64 / 1e6),
    }
}

fn median(samples: &[f64]) -> Option<f64> {
    (!samples.is_empty()).then(|| stats::median(samples))
}

fn percent(share: Option<f64>) -> Option<String> {
    share.map(|share| format!("{:.1} %", 100.0 * share))
}

/// A throughput with as many digits as are worth reading.
pub(super) fn rate(per_sec: f64) -> String {
    let digits = if per_sec < 10.0 { 3 } else { usize::from(per_sec < 1000.0) + usize::from(per_sec < 100.0) };
    format!("{per_sec:.digits$}")
}
