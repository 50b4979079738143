//! The curves: time and bytes per call against the size of the crowd, on logarithmic axes.

use std::{ops::Range, path::Path};

use plotters::{
    coord::{Shift, combinators::BindKeyPoints},
    prelude::*,
};

use crate::{
    command::Fallible,
    contenders::Role,
    measure::Crowd,
    results::{Measure, Results},
};

const WIDTH: u32 = 1_200;
const PANEL_HEIGHT: u32 = 400;
/// Above the legend.
const TITLES: u32 = 84;
const LEGEND_ROW: u32 = 28;
const LEGEND_COLUMN: i32 = 190;
const LEGEND_COLUMNS: usize = 6;
/// The strip above each panel, with its title.
const STRIP: u32 = 30;
const MARGIN: i32 = 16;
/// Where the panels' axes begin.
const LEFT: i32 = 92;

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(107, 114, 128);
const GRID: RGBColor = RGBColor(229, 231, 235);
const OURS: RGBColor = RGBColor(37, 99, 235);
/// Told apart by most who see colours differently, too (Okabe and Ito, 2008).
const THEIRS: [RGBColor; 6] = [
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(110, 110, 110),
    RGBColor(86, 180, 233),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

struct Curve {
    name: String,
    /// In the field.
    contender: usize,
    is_ours: bool,
    color: RGBColor,
}

impl Curve {
    fn width(&self) -> u32 {
        if self.is_ours { 4 } else { 2 }
    }

    fn points(&self, results: &Results, sizes: &[usize], crowd: Crowd, measure: Measure) -> Vec<(f64, f64)> {
        let point = |&size: &usize| Some((size as f64, results.median(crowd, size, self.contender, measure)?));
        // Nothing that isn't positive has a place on a logarithmic axis.
        sizes.iter().filter_map(point).filter(|(_, value)| *value > 0.0).collect()
    }
}

pub(crate) fn draw(results: &Results, sizes: &[usize], output: &Path) -> Fallible<()> {
    let curves = curves(results);
    let rows = u32::try_from(curves.len().div_ceil(LEGEND_COLUMNS))?;
    let heading = TITLES + rows * LEGEND_ROW;
    let image = SVGBackend::new(output, (WIDTH, heading + 2 * PANEL_HEIGHT)).into_drawing_area();
    image.fill(&WHITE)?;
    let (head, body) = image.split_vertically(heading);
    title(&head)?;
    legend(&head, &curves)?;
    let panels = Crowd::ALL.into_iter().flat_map(|crowd| Measure::ALL.map(|measure| (crowd, measure)));
    for (area, (crowd, measure)) in body.split_evenly((2, 2)).iter().zip(panels) {
        plot(area, crowd, measure, results, sizes, &curves)?;
    }
    image.present()?;
    Ok(())
}

/// In the order of the field.
fn curves(results: &Results) -> Vec<Curve> {
    let mut colors = THEIRS.iter().cycle();
    let field = results.field.iter().enumerate();
    field
        .map(|(contender, facts)| {
            let is_ours = facts.role == Role::Ours;
            let color = if is_ours { OURS } else { *colors.next().unwrap_or(&INK) };
            Curve { name: facts.name.clone(), contender, is_ours, color }
        })
        .collect()
}

fn title(area: &Area<'_>) -> Fallible<()> {
    let (large, small) = (("sans-serif", 28).into_font().color(&INK), ("sans-serif", 16).into_font().color(&FAINT));
    area.draw_text("What a call costs as the crowd grows", &large, (24, 18))?;
    let method = format!(
        "One thread; medians. Lower is better, and a flat line costs the same in any crowd. A contender that took more than {} s \
         over a point was asked for no larger one.",
        crate::measure::QUICK.as_secs()
    );
    area.draw_text(&method, &small, (24, 56))?;
    Ok(())
}

fn legend(area: &Area<'_>, curves: &[Curve]) -> Fallible<()> {
    let style = ("sans-serif", 16).into_font().color(&INK);
    let (mut x, mut y) = (24, i32::try_from(TITLES)? + 12);
    for (index, curve) in curves.iter().enumerate() {
        if index > 0 && index % LEGEND_COLUMNS == 0 {
            (x, y) = (24, y + i32::try_from(LEGEND_ROW)?);
        }
        area.draw(&PathElement::new([(x, y), (x + 24, y)], curve.color.stroke_width(curve.width())))?;
        area.draw(&Circle::new((x + 12, y), 4, curve.color.filled()))?;
        area.draw_text(&curve.name, &style, (x + 32, y - 8))?;
        x += LEGEND_COLUMN;
    }
    Ok(())
}

fn plot(
    area: &Area<'_>,
    crowd: Crowd,
    measure: Measure,
    results: &Results,
    sizes: &[usize],
    curves: &[Curve],
) -> Fallible<()> {
    let (strip, area) = area.split_vertically(STRIP);
    let name = format!("{} per {}", measure.unit(), crowd.of_one());
    strip.draw_text(&name, &("sans-serif", 18).into_font().color(&INK), (LEFT, 8))?;

    let values = curves.iter().flat_map(|curve| curve.points(results, sizes, crowd, measure));
    let (least, most) =
        values.fold((f64::INFINITY, 0.0), |(least, most), (_, value)| (value.min(least), value.max(most)));
    if most <= 0.0 {
        return Err(format!("no {name} to draw").into());
    }
    let largest = sizes.iter().copied().max().unwrap_or(1) as f64;
    let (across, up) = (0.7..largest * 1.45, least / 1.3..most * 1.3);
    let across_ticks = ticks(&across, &[1.0]);
    let up_ticks = ticks(&up, if up.end / up.start < 1_000.0 { &[1.0, 2.0, 5.0] } else { &[1.0] });
    let label_count = across_ticks.len().max(up_ticks.len());
    let mut chart = ChartBuilder::on(&area)
        .margin_left(MARGIN)
        .margin_right(36)
        .x_label_area_size(48)
        .y_label_area_size(LEFT - MARGIN)
        .build_cartesian_2d(
            across.log_scale().with_key_points(across_ticks),
            up.log_scale().with_key_points(up_ticks),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .x_labels(label_count)
        .y_labels(label_count)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 15).into_font().color(&FAINT))
        .x_desc(match crowd {
            Crowd::Waiters => "waiters of one flight",
            Crowd::Keys => "keys in flight",
        })
        .draw()?;
    // Ours last, on top.
    let (ours, theirs): (Vec<_>, Vec<_>) = curves.iter().partition(|curve| curve.is_ours);
    for curve in theirs.into_iter().chain(ours) {
        let points = curve.points(results, sizes, crowd, measure);
        chart.draw_series(LineSeries::new(points.iter().copied(), curve.color.stroke_width(curve.width())))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, curve.color.filled())))?;
    }
    Ok(())
}

/// Those multiples of powers of ten that lie within.
fn ticks(range: &Range<f64>, multiples: &[f64]) -> Vec<f64> {
    let powers = (-3..12).map(|power| 10_f64.powi(power));
    let ticks = powers.flat_map(|power| multiples.iter().map(move |multiple| power * multiple));
    ticks.filter(|tick| range.contains(tick)).collect()
}

fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.0} million", value / 1e6),
        1e3.. => format!("{:.0},000", value / 1e3),
        _ => format!("{value}"),
    }
}
