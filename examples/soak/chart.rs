//! The curves: memory, tasks, flights and waiters over time, with the rests shaded.

use std::{ops::Range, path::Path};

use plotters::{coord::Shift, prelude::*};

use crate::{
    Fallible,
    sample::{Phase, Sample},
    soak::{Log, mebibytes},
    verdict::Verdict,
};

const SIZE: (u32, u32) = (1_200, 1_120);
const HEADING: u32 = 84;
/// The strip above each panel, with its legend.
const STRIP: u32 = 30;
const MARGIN: i32 = 16;
/// Where the panels' axes begin.
const LEFT: i32 = 84;
/// More points would only overlap.
const MOST_POINTS: usize = 1_200;

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(107, 114, 128);
const GRID: RGBColor = RGBColor(229, 231, 235);
const REST: RGBColor = RGBColor(224, 242, 229);
const BLUE_LINE: RGBColor = RGBColor(37, 99, 235);
const ORANGE_LINE: RGBColor = RGBColor(217, 87, 9);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Value = fn(&Sample) -> Option<f64>;

struct Curve {
    name: &'static str,
    color: RGBColor,
    value: Value,
}

struct Panel {
    unit: &'static str,
    curves: Vec<Curve>,
    /// Whether to mark the ends of the rests, which the verdict compares.
    compared: bool,
}

/// The unit of the time axis: seconds, minutes or hours, by the run's length.
struct Clock {
    unit: &'static str,
    seconds: f64,
}

impl Clock {
    fn for_a_run_of(seconds: f64) -> Self {
        match seconds {
            ..180.0 => Self { unit: "seconds", seconds: 1.0 },
            180.0..10_800.0 => Self { unit: "minutes", seconds: 60.0 },
            _ => Self { unit: "hours", seconds: 3_600.0 },
        }
    }

    fn of(&self, sample: &Sample) -> f64 {
        sample.at.as_secs_f64() / self.seconds
    }
}

pub(crate) fn draw(log: &Log, verdict: &Verdict, output: &Path) -> Fallible<()> {
    let [.., end] = log.samples.as_slice() else { return Err("nothing was sampled".into()) };
    let clock = Clock::for_a_run_of(end.at.as_secs_f64());
    let step = log.samples.len().div_ceil(MOST_POINTS);
    let drawn = |(index, sample): &(usize, &Sample)| index % step == 0 || sample.phase != Phase::Load;
    let samples: Vec<_> = log.samples.iter().enumerate().filter(drawn).map(|(_, sample)| sample).collect();

    let image = SVGBackend::new(output, SIZE).into_drawing_area();
    image.fill(&WHITE)?;
    let (heading, body) = image.split_vertically(HEADING);
    head(&heading, log, verdict)?;
    for (area, panel) in body.split_evenly((4, 1)).iter().zip(&panels()) {
        plot(area, panel, &samples, &clock)?;
    }
    image.present()?;
    Ok(())
}

fn head(area: &Area<'_>, log: &Log, verdict: &Verdict) -> Fallible<()> {
    let verdict = if verdict.holds() { "memory within its limits" } else { "FAILED" };
    let title = format!("shardflight under soak: {} calls, {verdict}", thousands(log.tally.total()));
    area.draw_text(&title, &("sans-serif", 28).into_font().color(&INK), (24, 18))?;
    area.draw_text(&log.arguments, &("sans-serif", 16).into_font().color(&FAINT), (24, 56))?;
    area.draw(&Rectangle::new([(1_092, 56), (1_120, 72)], REST.filled()))?;
    area.draw_text("at rest", &("sans-serif", 16).into_font().color(&FAINT), (1_127, 56))?;
    Ok(())
}

fn panels() -> [Panel; 4] {
    let memory = |name, color, value| Panel { unit: "MiB", curves: vec![Curve { name, color, value }], compared: true };
    [
        memory("resident memory", ORANGE_LINE, |sample| sample.resident.map(mebibytes)),
        memory("memory allocated and not freed", BLUE_LINE, |sample| Some(mebibytes(sample.live))),
        Panel {
            unit: "tasks",
            curves: vec![Curve { name: "tasks alive", color: BLUE_LINE, value: |sample| Some(sample.tasks as f64) }],
            compared: false,
        },
        Panel {
            unit: "under way",
            curves: vec![
                Curve { name: "callers waiting", color: ORANGE_LINE, value: |sample| Some(sample.waiters as f64) },
                Curve { name: "flights", color: BLUE_LINE, value: |sample| Some(sample.flights as f64) },
            ],
            compared: false,
        },
    ]
}

fn plot(area: &Area<'_>, panel: &Panel, samples: &[&Sample], clock: &Clock) -> Fallible<()> {
    let (strip, area) = area.split_vertically(STRIP);
    legend(&strip, panel)?;
    let last = samples.last().map_or(1.0, |sample| clock.of(sample));
    let values = samples.iter().flat_map(|sample| panel.curves.iter().filter_map(|curve| (curve.value)(sample)));
    let top = values.fold(1.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(&area)
        .margin_left(MARGIN)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(LEFT - MARGIN)
        .build_cartesian_2d(0.0..last, 0.0..top)?;
    for rest in rests(samples, clock) {
        chart.draw_series([Rectangle::new([(rest.start, 0.0), (rest.end, top)], REST.filled())])?;
    }
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .y_labels(5)
        .x_labels(12)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| if top < 5.0 { format!("{value:.1}") } else { grouped(&format!("{value:.0}")) })
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 15).into_font().color(&FAINT))
        .x_desc(clock.unit)
        .y_desc(panel.unit)
        .draw()?;
    for Curve { color, value, .. } in &panel.curves {
        let point = |sample: &&Sample| Some((clock.of(sample), value(sample)?));
        chart.draw_series(LineSeries::new(samples.iter().filter_map(point), color.stroke_width(2)))?;
        let ends = samples.iter().filter(|sample| panel.compared && sample.phase == Phase::EndOfRest);
        chart.draw_series(ends.filter_map(point).map(|end| Circle::new(end, 4, color.filled())))?;
    }
    Ok(())
}

/// Drawn above the panel instead of over the curves.
fn legend(strip: &Area<'_>, panel: &Panel) -> Fallible<()> {
    let style = ("sans-serif", 16).into_font().color(&INK);
    let mut x = LEFT;
    for curve in &panel.curves {
        strip.draw(&PathElement::new([(x, 16), (x + 24, 16)], curve.color.stroke_width(3)))?;
        strip.draw_text(curve.name, &style, (x + 32, 8))?;
        x += 200;
        if panel.compared {
            x += 80;
            strip.draw(&Circle::new((x, 16), 4, curve.color.filled()))?;
            strip.draw_text("end of a rest: what the verdict compares", &style, (x + 12, 8))?;
        }
    }
    Ok(())
}

/// The time ranges of the rests.
fn rests(samples: &[&Sample], clock: &Clock) -> Vec<Range<f64>> {
    let resting = samples.chunk_by(|before, after| before.phase == Phase::Rest && after.phase != Phase::Load);
    let resting = resting.filter(|rest| rest[0].phase == Phase::Rest);
    resting.map(|rest| clock.of(rest[0])..clock.of(rest[rest.len() - 1])).collect()
}

fn thousands(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(digits: &str) -> String {
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
