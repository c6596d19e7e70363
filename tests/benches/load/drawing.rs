//! Drawings of figures over time: lines in SVG, each drawing on axes of its own.

use std::fmt::Write;

/// Everything below is in pixels of the drawing, which scales.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 980.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 220.0;

/// Lines across, above the lowest.
const GRID_LINES: usize = 4;

/// Moments that are named on the axis of time.
const TIME_LABELS: usize = 6;

/// One figure over time.
pub struct Line<'a> {
    /// What the legend calls it.
    pub name: &'a str,
    /// As in `#1b7837`.
    pub colour: &'a str,
    /// Its value at each moment; a moment without one leaves a gap.
    pub values: Vec<Option<f64>>,
}

/// Draws lines over the moments, which are in seconds and rise.
pub fn lines_over_time(title: &str, unit: &str, moments: &[f64], lines: &[Line<'_>]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_lines(&mut text, title, unit, moments, lines);
    text
}

fn write_lines(
    out: &mut String,
    title: &str,
    unit: &str,
    moments: &[f64],
    lines: &[Line<'_>],
) -> std::fmt::Result {
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" role="img" aria-label="{}">"#,
        escaped(title)
    )?;
    writeln!(
        out,
        r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#
    )?;
    writeln!(
        out,
        r#"<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{}, {}</text>"#,
        escaped(title),
        escaped(unit)
    )?;
    let values = lines.iter().flat_map(|line| line.values.iter().flatten());
    let top_value = round_up(values.fold(0.0, |most, value| value.max(most)));
    let last_moment = moments.last().copied().unwrap_or_default().max(1.0);
    let x = |moment: f64| LEFT + (RIGHT - LEFT) * moment / last_moment;
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value / top_value;
    for step in 0..=GRID_LINES {
        let value = top_value * step as f64 / GRID_LINES as f64;
        let at = y(value);
        writeln!(
            out,
            r##"<line x1="{LEFT}" y1="{at:.1}" x2="{RIGHT}" y2="{at:.1}" stroke="#ddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
            LEFT - 8.0,
            at + 4.0,
            short(value)
        )?;
    }
    for label in 0..=TIME_LABELS {
        let moment = last_moment * label as f64 / TIME_LABELS as f64;
        writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{} s</text>"#,
            x(moment),
            BOTTOM + 20.0,
            short(moment)
        )?;
    }
    for (number, line) in lines.iter().enumerate() {
        let legend_x = RIGHT - 130.0 * (lines.len() - number) as f64;
        writeln!(
            out,
            r#"<rect x="{legend_x:.1}" y="11" width="12" height="12" fill="{}"/><text x="{:.1}" y="22">{}</text>"#,
            line.colour,
            legend_x + 18.0,
            escaped(line.name)
        )?;
        let mut path = String::new();
        let mut is_drawing = false;
        for (moment, value) in moments.iter().zip(&line.values) {
            let Some(value) = value else {
                is_drawing = false;
                continue;
            };
            let command = if is_drawing { 'L' } else { 'M' };
            write!(path, "{command}{:.1},{:.1}", x(*moment), y(*value))?;
            is_drawing = true;
        }
        writeln!(
            out,
            r#"<path d="{path}" stroke="{}" stroke-width="2" fill="none"/>"#,
            line.colour
        )?;
    }
    writeln!(out, "</svg>")
}

/// The next of 1, 2, 5, 10, 20 and so on, and of their fractions.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10.0_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    // A value that is a step but for the last digit is that step.
    let fits = |step: &f64| *step >= value * (1.0 - 1e-9);
    steps.into_iter().find(fits).unwrap_or(10.0 * power)
}

/// With as many digits as it needs.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// The text as XML and HTML have it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, expected) in [
            (0.0, "1"),
            (0.03, "0.05"),
            (1.0, "1"),
            (1.01, "2"),
            (4.2, "5"),
            (51.0, "100"),
            (1_000.0, "1000"),
        ] {
            assert_eq!(short(round_up(value)), expected, "{value}");
        }
    }

    #[test]
    fn lines_have_gaps_where_nothing_is_known() {
        let lines = [
            Line {
                name: "p95 <ms>",
                colour: "#2166ac",
                values: vec![Some(1.0), None, Some(3.0), Some(4.0)],
            },
            Line {
                name: "none",
                colour: "#1b7837",
                values: vec![None; 4],
            },
        ];
        let text = lines_over_time("Latency", "ms", &[1.0, 2.0, 3.0, 4.0], &lines);
        for part in ["Latency, ms", "p95 &lt;ms&gt;", "<svg", "</svg>", r#"d="""#] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        let path = text
            .split("d=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let path = path.unwrap_or_default();
        let moves = path.matches('M').count();
        assert_eq!((moves, path.matches('L').count()), (2, 1), "{path}");
        let none = lines_over_time("Nothing", "ms", &[], &[]);
        assert!(!none.contains("NaN") && !none.contains("inf"), "{none}");
    }
}
