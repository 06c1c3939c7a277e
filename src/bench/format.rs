//! The formats of a report.

use super::Report;
use serde_json::{Map, Value};
use std::error::Error;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    Table,
    /// A table in Markdown.
    Md,
    /// Comma-separated values with a heading.
    Csv,
    /// A JSON array with an object for each test.
    Json,
    /// The same objects, each on a line of its own.
    Jsonl,
}

impl Format {
    /// Whether the format has room for hashes and other things that only programs read.
    pub fn is_for_programs(self) -> bool {
        matches!(self, Format::Csv | Format::Json | Format::Jsonl)
    }

    /// `report` in this format.
    ///
    /// # Errors
    /// None that a report can cause; what the libraries that write it say.
    pub fn render(self, report: &Report) -> Result<String, Box<dyn Error + Send + Sync>> {
        Ok(match self {
            Format::Table => text(report),
            Format::Md => markdown(report),
            Format::Csv => csv(&records(report)?)?,
            Format::Json => {
                let lines: Vec<String> = lines(report)?.iter().map(|line| format!("  {line}")).collect();
                if lines.is_empty() { "[]\n".into() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
            }
            Format::Jsonl => lines(report)?.iter().map(|line| format!("{line}\n")).collect(),
        })
    }
}

/// The tests and the records of the sections, as JSON objects.
fn records(report: &Report) -> serde_json::Result<Vec<Value>> {
    let mut records = report.rows.iter().map(serde_json::to_value).collect::<serde_json::Result<Vec<_>>>()?;
    for section in &report.sections {
        for record in &section.records {
            let mut whole = Map::new();
            // What all have in common comes first, and what a record says itself counts.
            let parts =
                [serde_json::to_value(&report.origin)?, serde_json::to_value(&section.subject)?, record.clone()];
            for part in parts {
                if let Value::Object(fields) = part {
                    whole.extend(fields);
                }
            }
            records.push(Value::Object(whole));
        }
    }
    Ok(records)
}

fn lines(report: &Report) -> serde_json::Result<Vec<String>> {
    records(report)?.iter().map(serde_json::to_string).collect()
}

fn text(report: &Report) -> String {
    let mut text = head(report);
    if !report.rows.is_empty() {
        text += &report.table().to_text();
    }
    text += &notes(&report.all_notes(), "note: ");
    for section in &report.sections {
        let gap = if text.is_empty() { "" } else { "\n" };
        text += &format!("{gap}{}\n{}", section.title, section.table.to_text());
        text += &notes(&section.notes, "note: ");
    }
    text
}

fn markdown(report: &Report) -> String {
    let mut text = head(report);
    if !report.rows.is_empty() {
        text += &report.table().to_markdown();
    }
    text += &notes(&report.all_notes(), "\n- ");
    for section in &report.sections {
        let gap = if text.is_empty() { "" } else { "\n" };
        text += &format!("{gap}### {}\n\n{}", section.title, section.table.to_markdown());
        text += &notes(&section.notes, "\n- ");
    }
    text
}

/// What was measured and on what, and a blank line where tests follow.
fn head(report: &Report) -> String {
    let lines = [vec![report.heading()], report.particulars()].concat();
    let text: String = lines.iter().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    if report.rows.is_empty() { text } else { text + "\n" }
}

fn notes(notes: &[String], mark: &str) -> String {
    notes.iter().map(|note| format!("{mark}{note}\n")).collect()
}

/// A column for each field that any record has; lists as JSON.
fn csv(records: &[Value]) -> Result<String, Box<dyn Error + Send + Sync>> {
    let objects: Vec<&Map<String, Value>> = records.iter().filter_map(Value::as_object).collect();
    let mut columns: Vec<&String> = Vec::new();
    for key in objects.iter().flat_map(|object| object.keys()) {
        if !columns.contains(&key) {
            columns.push(key);
        }
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !columns.is_empty() {
        writer.write_record(&columns)?;
    }
    for object in objects {
        writer.write_record(columns.iter().map(|column| match object.get(*column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Grid, Section};
    use serde_json::json;

    fn report() -> Report {
        let mut table = Grid::new(&["engine", "t/s"]);
        table.push(vec!["a, \"b\"".into(), "1".into()]);
        let records = vec![json!({"engine": "a, \"b\"", "n": 1}), json!({"engine": null, "list": [1, 2]})];
        let section =
            Section { title: "Others".into(), table, records, notes: vec!["so it is".into()], ..Section::default() };
        Report { sections: vec![section], ..Report::default() }
    }

    fn rendered(format: Format) -> String {
        format.render(&report()).expect("written to memory")
    }

    #[test]
    fn sections_are_in_every_format() {
        assert_eq!(rendered(Format::Table), "Others\nengine  t/s\na, \"b\"    1\nnote: so it is\n");
        let markdown = "### Others\n\n| engine | t/s |\n| ------ | --: |\n| a, \"b\" |   1 |\n\n- so it is\n";
        assert_eq!(rendered(Format::Md), markdown);
        let lines = "{\"engine\":\"a, \\\"b\\\"\",\"n\":1}\n{\"engine\":null,\"list\":[1,2]}\n";
        assert_eq!(rendered(Format::Jsonl), lines);
        let array: Vec<Value> = serde_json::from_str(&rendered(Format::Json)).expect("JSON");
        assert_eq!(array.len(), 2);
    }

    #[test]
    fn csv_has_a_column_for_every_field_of_any_record() {
        assert_eq!(rendered(Format::Csv), "engine,n,list\n\"a, \"\"b\"\"\",1,\n,,\"[1,2]\"\n");
    }

    #[test]
    fn nothing_is_an_empty_list() {
        for (format, expected) in [(Format::Json, "[]\n"), (Format::Csv, ""), (Format::Jsonl, "")] {
            assert_eq!(format.render(&Report::default()).expect("written to memory"), expected);
        }
    }
}
