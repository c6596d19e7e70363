//! The wasm host beside the native baseline: a table with a row for each route, and bars.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::figures::{Measurement, bar, columns, columns_of, doubts, grouped};

/// One route on both servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What was asked for.
    pub route: String,
    /// By the wasm host.
    pub wasm: Measurement,
    /// By the native baseline.
    pub native: Measurement,
}

/// Writes the table, the doubts about its rows and the bars, and returns how wide the names are.
///
/// # Errors
/// `out` does not take them.
pub fn write(out: &mut String, rows: &[Row]) -> Result<usize, std::fmt::Error> {
    let width = rows.iter().map(|row| row.route.len());
    let width = width.max().unwrap_or_default();
    writeln!(
        out,
        "{:width$} | {:^43} | {:^43} | wasm /",
        "", "wasm host", "native baseline"
    )?;
    let columns = columns();
    writeln!(out, "{:width$} | {columns} | {columns} | native", "route")?;
    for row in rows {
        let ratio = 100.0 * row.wasm.requests_per_sec / row.native.requests_per_sec;
        writeln!(
            out,
            "{:width$} | {} | {} | {ratio:>5.0}%",
            row.route,
            columns_of(&row.wasm),
            columns_of(&row.native)
        )?;
    }
    for row in rows {
        for (server, measured) in [("wasm host", &row.wasm), ("native baseline", &row.native)] {
            out.write_str(&doubts(&row.route, server, measured))?;
        }
    }

    writeln!(out, "\nreq/s, each pair to its own scale")?;
    for row in rows {
        let longest = row.wasm.requests_per_sec.max(row.native.requests_per_sec);
        for (server, route, measured) in [
            ("wasm", row.route.as_str(), &row.wasm),
            ("native", "", &row.native),
        ] {
            writeln!(
                out,
                "{route:width$} {server:6} {} {}",
                bar(measured.requests_per_sec, longest),
                grouped(measured.requests_per_sec)
            )?;
        }
    }
    Ok(width)
}
