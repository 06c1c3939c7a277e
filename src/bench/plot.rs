//! Throughput against what varies, as a picture.

use super::{Row, Test, threads};
use plotters::{
    backend::SVGBackend,
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement},
    series::LineSeries,
    style::{BLACK, Color, Palette, Palette99, WHITE},
};

/// Pixels of a panel.
const SIZE: (u32, u32) = (800, 400);
const FONT: &str = "sans-serif";

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// All tests are of the same depth, batch and threads.
    #[error("there is nothing to plot against\nhint: give `-d`, `-b` or `-t` a list, such as `-d 0,1024,4096`")]
    NothingVaries,
    /// The library that draws failed.
    #[error("cannot draw: {0}")]
    Draw(String),
}

/// What a picture has from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Depth,
    Batch,
    Threads,
}

/// Points of one kind of test.
#[derive(Debug, PartialEq)]
struct Series {
    name: String,
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    x: f64,
    median: f64,
    low: f64,
    high: f64,
}

/// Draws the median throughput of `rows` with its interval against depth, batch or threads, the first of them that
/// varies, as SVG; prompts above generations.
///
/// # Errors
/// [`PlotError::NothingVaries`]; [`PlotError::Draw`] if the library fails.
pub fn plot(rows: &[Row]) -> Result<String, PlotError> {
    let axis = Axis::of(rows).ok_or(PlotError::NothingVaries)?;
    let (prompts, generations): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.n_prompt > 0);
    let panels = [("reading prompts", prompts), ("generation", generations)];
    let panels: Vec<_> = panels.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
    let mut svg = String::new();
    let height = SIZE.1 * panels.len() as u32;
    let root = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
    draw(|| {
        root.fill(&WHITE)?;
        for (area, (what, rows)) in root.split_evenly((panels.len(), 1)).iter().zip(&panels) {
            panel(area, &format!("{}, {what}", rows[0].subject.model_filename), axis, &series(axis, rows))?;
        }
        root.present()
    })?;
    drop(root);
    Ok(svg)
}

type Drawn = Result<(), plotters::drawing::DrawingAreaErrorKind<std::io::Error>>;

fn draw(work: impl FnOnce() -> Drawn) -> Result<(), PlotError> {
    work().map_err(|error| PlotError::Draw(error.to_string()))
}

fn panel(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, axis: Axis, series: &[Series]) -> Drawn {
    let points = || series.iter().flat_map(|series| &series.points);
    let widest = points().map(|point| point.x).fold(1.0, f64::max);
    let fastest = points().map(|point| point.high).fold(1e-9, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..widest * 1.05, 0.0..fastest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc(axis.name())
        .y_desc("tokens/s")
        .label_style((FONT, 12))
        .light_line_style(WHITE)
        .draw()?;
    for (i, Series { name, points }) in series.iter().enumerate() {
        let color = Palette99::pick(i).to_rgba();
        let line = points.iter().map(|point| (point.x, point.median));
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| Circle::new((point.x, point.median), 3, color.filled())))?;
        let interval = |point: &Point| PathElement::new([(point.x, point.low), (point.x, point.high)], color);
        chart.draw_series(points.iter().map(interval))?;
    }
    let place = SeriesLabelPosition::LowerLeft;
    chart.configure_series_labels().position(place).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()
}

/// The lines of a panel: a point for each value of `axis`, a line for each combination of the rest.
fn series(axis: Axis, rows: &[&Row]) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for row in rows {
        let median = row.median_ts;
        let (low, high) = (row.median_ts_low.unwrap_or(median), row.median_ts_high.unwrap_or(median));
        let point = Point { x: axis.value(row), median, low, high };
        let name = axis.name_of_rest(row);
        match all.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => all.push(Series { name, points: vec![point] }),
        }
    }
    for series in &mut all {
        series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    all
}

impl Axis {
    /// The first that varies.
    fn of(rows: &[Row]) -> Option<Axis> {
        let varies = |axis: &Axis| rows.iter().any(|row| axis.value(row) != axis.value(&rows[0]));
        [Axis::Depth, Axis::Batch, Axis::Threads].into_iter().find(varies)
    }

    fn value(self, row: &Row) -> f64 {
        (match self {
            Axis::Depth => row.n_depth,
            Axis::Batch => row.n_batch,
            Axis::Threads => row.n_threads,
        }) as f64
    }

    fn name(self) -> &'static str {
        match self {
            Axis::Depth => "tokens in the cache before",
            Axis::Batch => "sequences at once",
            Axis::Threads => "threads",
        }
    }

    /// What is the same along a line.
    fn name_of_rest(self, row: &Row) -> String {
        let test = Test::from(row);
        let rest = match self {
            Axis::Depth => Test { n_depth: 0, ..test },
            Axis::Batch => Test { n_batch: 1, ..test },
            Axis::Threads => test,
        };
        match self {
            Axis::Threads => rest.to_string(),
            _ => format!("{rest}, {}", threads(test.n_threads)),
        }
    }
}
