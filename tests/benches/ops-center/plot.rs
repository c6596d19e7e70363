//! The latencies as a drawing: a row for each endpoint, on one logarithmic axis.

use std::fmt::Write;

use crate::load::drawing::escaped;
use crate::load::figures::{grouped, millis};

use super::report::{Measured, Report};

/// Everything below is in pixels of the drawing, which scales.
const WIDTH: f64 = 1_000.0;
const ROW_HEIGHT: f64 = 40.0;
/// Where the axis begins: the names are to the left of it.
const AXIS_LEFT: f64 = 250.0;
/// Where it ends: the figures are to the right of it.
const AXIS_RIGHT: f64 = 820.0;
/// The title, its second line and the legend.
const HEAD_HEIGHT: f64 = 112.0;
/// The axis's numbers and its name.
const FOOT_HEIGHT: f64 = 64.0;

/// Half the size of a mark.
const MARK: f64 = 6.0;

/// The steps of the axis within a power of ten.
const STEPS: [u64; 3] = [1, 2, 5];

/// The steps that the axis can have: from a microsecond to 100 seconds, longer than any request
/// may take.
const MAX_EXPONENT: u32 = 8;

/// The percentiles that are marked.
const PERCENTILES: [Percentile; 3] = [
    Percentile {
        name: "p50",
        colour: "#1b7837",
        of: |measured| measured.p50_micros,
        shape: |x, y| {
            format!(
                "M{:.1},{y:.1} a{MARK},{MARK} 0 1,0 {d},0 a{MARK},{MARK} 0 1,0 -{d},0 Z",
                x - MARK,
                d = 2.0 * MARK
            )
        },
    },
    Percentile {
        name: "p95",
        colour: "#2166ac",
        of: |measured| measured.p95_micros,
        shape: |x, y| {
            format!(
                "M{:.1},{:.1} h{d} v{d} h-{d} Z",
                x - MARK,
                y - MARK,
                d = 2.0 * MARK
            )
        },
    },
    Percentile {
        name: "p99",
        colour: "#b2182b",
        of: |measured| measured.p99_micros,
        // Its tip is above the line, so that it is seen where it equals the p95.
        shape: |x, y| {
            format!(
                "M{x:.1},{:.1} l-{MARK},-{d} h{d} Z",
                y - MARK,
                d = 2.0 * MARK
            )
        },
    },
];

struct Percentile {
    name: &'static str,
    colour: &'static str,
    of: fn(&Measured) -> u64,
    /// The mark, told apart by more than its colour.
    shape: fn(f64, f64) -> String,
}

/// A logarithmic axis in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    first_micros: u64,
    last_micros: u64,
}

impl Axis {
    /// From the step at or below the shortest latency to the one at or above the longest.
    fn around(latencies: impl Iterator<Item = u64> + Clone) -> Self {
        let shortest = latencies.clone().min().unwrap_or(1).max(1);
        let longest = latencies.max().unwrap_or(1).max(shortest);
        let first = steps().filter(|step| *step <= shortest).last();
        let first_micros = first.unwrap_or(1);
        let last = steps().find(|step| *step >= longest && *step > first_micros);
        Self {
            first_micros,
            last_micros: last.unwrap_or(longest),
        }
    }

    fn x(self, micros: u64) -> f64 {
        let [first, last, at] = [self.first_micros, self.last_micros, micros.max(1)]
            .map(|micros| (micros as f64).log10());
        let share = ((at - first) / (last - first)).clamp(0.0, 1.0);
        AXIS_LEFT + share * (AXIS_RIGHT - AXIS_LEFT)
    }

    fn ticks(self) -> impl Iterator<Item = u64> {
        steps().filter(move |step| (self.first_micros..=self.last_micros).contains(step))
    }
}

fn steps() -> impl Iterator<Item = u64> {
    (0..=MAX_EXPONENT).flat_map(|exponent| STEPS.map(|step| step * 10_u64.pow(exponent)))
}

/// Draws a run.
pub fn svg(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_svg(&mut text, report);
    text
}

fn write_svg(out: &mut String, report: &Report) -> std::fmt::Result {
    let foot_y = HEAD_HEIGHT + ROW_HEIGHT * report.endpoints.len() as f64;
    let height = foot_y + FOOT_HEIGHT;
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="14">"#
    )?;
    writeln!(
        out,
        r#"<rect width="{WIDTH}" height="{height}" fill="white"/>"#
    )?;
    write_head(out, report)?;

    let answered = report.endpoints.iter().filter(|one| one.successes > 0);
    let axis = Axis::around(answered.flat_map(|one| [one.min_micros, one.max_micros]));
    for micros in axis.ticks() {
        let x = axis.x(micros);
        writeln!(
            out,
            r##"<line x1="{x:.1}" y1="{HEAD_HEIGHT}" x2="{x:.1}" y2="{:.1}" stroke="#ddd"/>"##,
            foot_y + 6.0
        )?;
        write_text(out, (x, foot_y + 22.0), "middle", &tick_label(micros))?;
    }
    writeln!(
        out,
        r##"<line x1="{AXIS_LEFT}" y1="{foot_y}" x2="{AXIS_RIGHT}" y2="{foot_y}" stroke="#333"/>"##
    )?;
    let middle = f64::midpoint(AXIS_LEFT, AXIS_RIGHT);
    write_text(
        out,
        (middle, foot_y + 48.0),
        "middle",
        "latency, milliseconds (logarithmic)",
    )?;
    for (row, measured) in report.endpoints.iter().enumerate() {
        let y = HEAD_HEIGHT + ROW_HEIGHT * (row as f64 + 0.5);
        write_row(out, axis, measured, y)?;
    }
    writeln!(out, "</svg>")
}

fn write_head(out: &mut String, report: &Report) -> std::fmt::Result {
    let (machine, parameters) = (&report.machine, &report.parameters);
    let commit = machine.commit.as_deref().unwrap_or("unknown commit");
    writeln!(
        out,
        r#"<text x="16" y="30" font-size="18" font-weight="bold">Latency by endpoint</text>"#
    )?;
    let conditions = format!(
        "{} requests of each, {} at a time; {} cores for host, Postgres and load; {}, {commit}",
        grouped(parameters.iterations as f64),
        parameters.concurrency,
        machine.cores,
        machine.date.get(..10).unwrap_or(&machine.date),
    );
    write_text(out, (16.0, 54.0), "start", &conditions)?;
    let y = 84.0;
    let mut x = AXIS_LEFT;
    for percentile in &PERCENTILES {
        write_mark(out, percentile, x + MARK, y)?;
        write_text(out, (x + 20.0, y + 5.0), "start", percentile.name)?;
        x += 76.0;
    }
    write_range(out, (x, x + 34.0), y)?;
    write_text(out, (x + 42.0, y + 5.0), "start", "min to max")?;
    let figures_x = AXIS_RIGHT + 16.0;
    write_text(out, (figures_x, y + 5.0), "start", "p95, rate")
}

fn write_row(out: &mut String, axis: Axis, measured: &Measured, y: f64) -> std::fmt::Result {
    let text_y = y + 5.0;
    write_text(out, (AXIS_LEFT - 14.0, text_y), "end", &measured.endpoint)?;
    let figures_x = AXIS_RIGHT + 16.0;
    if measured.successes == 0 {
        return write_text(out, (figures_x, text_y), "start", "no success");
    }
    write_range(
        out,
        (axis.x(measured.min_micros), axis.x(measured.max_micros)),
        y,
    )?;
    // The largest first, so that of marks in one place the median is on top.
    for percentile in PERCENTILES.iter().rev() {
        write_mark(out, percentile, axis.x((percentile.of)(measured)), y)?;
    }
    let figures = format!(
        "{} ms, {}/s",
        millis(measured.p95_micros),
        grouped(measured.requests_per_sec)
    );
    write_text(out, (figures_x, text_y), "start", &figures)
}

fn write_range(out: &mut String, (from, to): (f64, f64), y: f64) -> std::fmt::Result {
    let (top, bottom) = (y - MARK, y + MARK);
    writeln!(
        out,
        r##"<path d="M{from:.1},{y:.1} H{to:.1} M{from:.1},{top:.1} V{bottom:.1} M{to:.1},{top:.1} V{bottom:.1}" stroke="#888" stroke-width="2" fill="none"/>"##
    )
}

fn write_mark(out: &mut String, percentile: &Percentile, x: f64, y: f64) -> std::fmt::Result {
    writeln!(
        out,
        r#"<path d="{}" fill="{}" stroke="white"/>"#,
        (percentile.shape)(x, y),
        percentile.colour
    )
}

fn write_text(out: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) -> std::fmt::Result {
    writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
        escaped(text)
    )
}

/// Milliseconds as short as they are exact: a step has one digit that is not zero.
fn tick_label(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000, micros % 1_000);
    if rest == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{rest:03}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::super::report::tests::{measured, report};
    use super::*;

    #[test]
    fn axes() {
        for (latencies, expected) in [
            (&[][..], (1, 2)),
            (&[0], (1, 2)),
            (&[1_000, 1_000], (1_000, 2_000)),
            (&[230, 51_000], (200, 100_000)),
            (&[200, 50_000], (200, 50_000)),
            (&[u64::MAX], (500_000_000, u64::MAX)),
        ] {
            let axis = Axis::around(latencies.iter().copied());
            assert_eq!(
                (axis.first_micros, axis.last_micros),
                expected,
                "{latencies:?}"
            );
            for latency in latencies {
                let x = axis.x(*latency);
                assert!(
                    (AXIS_LEFT..=AXIS_RIGHT).contains(&x),
                    "{latency} of {latencies:?} is at {x}"
                );
            }
        }
        let axis = Axis {
            first_micros: 100,
            last_micros: 10_000,
        };
        let middle = f64::midpoint(AXIS_LEFT, AXIS_RIGHT);
        assert!((axis.x(1_000) - middle).abs() < 0.001, "{}", axis.x(1_000));
        assert_eq!(
            axis.ticks().collect::<Vec<_>>(),
            [100, 200, 500, 1_000, 2_000, 5_000, 10_000]
        );
    }

    #[test]
    fn labels() {
        for (micros, expected) in [
            (1, "0.001"),
            (20, "0.02"),
            (500, "0.5"),
            (1_000, "1"),
            (50_000, "50"),
            (100_000_000, "100000"),
        ] {
            assert_eq!(tick_label(micros), expected);
        }
    }

    #[test]
    fn drawings() {
        let mut failed = measured("credit-pool", 0, 9);
        failed.successes = 0;
        let mut report = report(vec![measured("credits-balance", 1_500, 0), failed]);
        report.machine.commit = Some("<&>".to_owned());
        let text = svg(&report);
        for part in [
            "credits-balance",
            "1.50 ms, 1,234/s",
            "no success",
            "milliseconds",
            "&lt;&amp;&gt;",
            "2026-01-02,",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        for name in ["<text", "<svg"] {
            let closing = name.replace('<', "</");
            let [opened, closed] = [name, &closing].map(|tag| text.matches(tag).count());
            assert_eq!(opened, closed, "{name} in\n{text}");
        }
        // Marks of three percentiles and a range: in the legend, and in the one row with figures.
        assert_eq!(text.matches("<path").count(), 8, "{text}");
        assert!(svg(&super::super::report::tests::report(vec![])).ends_with("</svg>\n"));
    }
}
