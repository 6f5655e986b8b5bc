//! Lines over the number of apps, as SVG.

use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (720, 420);
const FONT: &str = "sans-serif";

pub struct Line {
    pub name: &'static str,
    /// Number of apps, and what was measured with so many.
    pub points: Vec<(f64, f64)>,
}

/// Both axes are logarithmic.
pub fn draw(file: &Path, title: &str, unit: &str, lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let last = points().map(|point| point.0).fold(1.0, f64::max);
    let lowest = points().map(|point| point.1).fold(f64::MAX, f64::min);
    let highest = points().map(|point| point.1).fold(0.0, f64::max);
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).expect("a writable file");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FONT, 18))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d((1.0..last).log_scale(), (lowest / 2.0..highest * 2.0).log_scale())
        .expect("axes");
    chart
        .configure_mesh()
        .x_desc("apps")
        .y_desc(unit)
        .x_label_formatter(&|apps| format!("{apps:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style((FONT, 13))
        .light_line_style(WHITE)
        .draw()
        .expect("a writable file");
    for (index, line) in lines.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(series.point_size(4))
            .expect("a writable file")
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font((FONT, 13))
        .draw()
        .expect("a writable file");
    area.present().expect("a writable file");
}
