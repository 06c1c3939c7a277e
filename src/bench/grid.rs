//! A table of texts, for people: aligned, or as Markdown.

/// Rows under a header. The first column is aligned to the left, the others to the right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table without rows.
    pub fn new(header: &[&str]) -> Grid {
        Grid { header: header.iter().map(|name| name.to_string()).collect(), rows: Vec::new() }
    }

    /// Adds a row; it is cut or filled to the length of the header.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.header.len(), String::new());
        self.rows.push(row);
    }

    /// As text with columns two spaces apart, a line for each row.
    pub fn to_text(&self) -> String {
        if self.header.is_empty() {
            return String::new();
        }
        let widths = self.widths();
        self.lines().map(|line| aligned(line, &widths, "  ").trim_end().to_string() + "\n").collect()
    }

    /// As a table of GitHub's Markdown.
    pub fn to_markdown(&self) -> String {
        if self.header.is_empty() {
            return String::new();
        }
        let escaped = |row: &Vec<String>| row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let grid = Grid { header: escaped(&self.header), rows: self.rows.iter().map(escaped).collect() };
        let widths: Vec<usize> = grid.widths().iter().map(|width| width.max(&3)).copied().collect();
        let rule = |(i, width): (usize, &usize)| match i {
            0 => "-".repeat(*width),
            _ => "-".repeat(width - 1) + ":",
        };
        let mut lines: Vec<String> = grid.lines().map(|line| aligned(line, &widths, " | ")).collect();
        lines.insert(1, widths.iter().enumerate().map(rule).collect::<Vec<_>>().join(" | "));
        lines.iter().map(|line| format!("| {line} |\n")).collect()
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.header).chain(&self.rows)
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.lines().map(|line| line[column].chars().count()).max().unwrap_or(0);
        (0..self.header.len()).map(width).collect()
    }
}

fn aligned(line: &[String], widths: &[usize], gap: &str) -> String {
    let cell = |(i, (text, &width)): (usize, (&String, &usize))| match i {
        0 => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    };
    line.iter().zip(widths).enumerate().map(cell).collect::<Vec<_>>().join(gap)
}

#[cfg(test)]
mod tests {
    use super::Grid;

    fn grid() -> Grid {
        let mut grid = Grid::new(&["engine", "t/s"]);
        grid.push(vec!["a|b".into(), "1.5×".into()]);
        grid.push(vec!["c".into()]);
        grid
    }

    #[test]
    fn text_is_aligned_by_characters_not_bytes() {
        assert_eq!(grid().to_text(), "engine   t/s\na|b     1.5×\nc\n");
    }

    #[test]
    fn markdown_escapes_bars_and_aligns_to_the_right() {
        let expected = "| engine |  t/s |\n| ------ | ---: |\n| a\\|b   | 1.5× |\n| c      |      |\n";
        assert_eq!(grid().to_markdown(), expected);
    }
}
