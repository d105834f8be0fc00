//! Tables for people, in Markdown.

use std::fmt::Write;
use std::slice;

use crate::cell::{CELLS, Cell, Group};
use crate::outcome::{Figures, Outcome, Report};
use crate::servers::Name;
use crate::statistics::Spread;

/// A load this busy sets the pace itself.
const BUSY_SHARE: f64 = 0.95;

/// All tables of a report.
pub(crate) fn render(report: &Report) -> String {
    let way = match report.is_pinned {
        true => "The server has one core and the load another.",
        false => "Server and load share the cores as the scheduler likes.",
    };
    let mut out = format!("{}\n{way}\n", report.machine);
    for group in Group::ALL {
        let cells: Vec<Column> = CELLS
            .iter()
            .filter(|cell| cell.group == group)
            .map(|cell| Column { cell, report })
            .filter(|column| column.outcomes().next().is_some())
            .collect();
        if !cells.is_empty() {
            render_group(&mut out, group, &cells);
        }
    }
    out
}

/// In a line, and one more for each figure that is missing.
pub(crate) fn summary(report: &Report) -> String {
    let mut out = String::new();
    for outcome in &report.outcomes {
        if let Err(reason) = &outcome.figures {
            let _ = writeln!(out, "{}, {}: {reason}", outcome.server, outcome.cell);
        }
    }
    let asked: Vec<&Outcome> =
        report.outcomes.iter().filter(|outcome| !outcome.is_exempt).collect();
    let good = asked.iter().filter(|outcome| outcome.figures.is_ok()).count();
    let _ = writeln!(out, "{good} of {} without a fault", asked.len());
    out
}

/// One cell of a report, for all servers.
struct Column<'a> {
    cell: &'a Cell,
    report: &'a Report,
}

impl Column<'_> {
    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.report.outcomes.iter().filter(|outcome| outcome.cell == self.cell.id)
    }

    fn of(&self, server: Name) -> impl Iterator<Item = &Outcome> {
        self.outcomes().filter(move |outcome| outcome.server == server)
    }

    /// A figure of every round, unless something was wrong in one.
    fn values(
        &self,
        server: Name,
        figure: impl Fn(&Figures) -> Option<f64>,
    ) -> Option<Vec<(usize, f64)>> {
        self.of(server)
            .map(|outcome| Some((outcome.round, figure(outcome.figures.as_ref().ok()?)?)))
            .collect()
    }

    fn spread(&self, server: Name, figure: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.values(server, figure)?.into_iter().map(|(_, value)| value))
    }

    fn median(&self, server: Name, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        self.spread(server, figure).map(|spread| spread.median)
    }

    fn cpu(&self, server: Name) -> Option<String> {
        self.median(server, cpu).map(number)
    }

    /// Beside the floor in the same round.
    fn ratio(&self, server: Name) -> Option<String> {
        let floors = self.values(Name::Floor, cpu)?;
        let ratios = self.values(server, cpu)?.into_iter().filter_map(|(round, value)| {
            let floor = floors.iter().find(|(of, _)| *of == round)?;
            Some(value / floor.1)
        });
        let Spread { median, min, max } = Spread::of(ratios)?;
        Some(match min < max {
            true => format!("{median:.2} ({min:.2}..{max:.2})"),
            false => format!("{median:.2}"),
        })
    }

    fn rate(&self, server: Name) -> Option<String> {
        let rate = self.median(server, |figures| Some(figures.per_second))?;
        let share = self.median(server, |figures| Some(figures.client.cpu_share))?;
        let mark = if share > BUSY_SHARE { "*" } else { "" };
        Some(format!("{}{mark}", grouped(rate)))
    }

    fn latency(&self, server: Name) -> Option<String> {
        let p50 = self.median(server, |figures| Some(figures.latency_us.as_ref()?.p50))?;
        let p99 = self.median(server, |figures| Some(figures.latency_us.as_ref()?.p99))?;
        Some(format!("{} / {}", duration(p50), duration(p99)))
    }
}

fn cpu(figures: &Figures) -> Option<f64> {
    figures.server.cpu_seconds_per_million
}

type Figure = fn(&Column, Name) -> Option<String>;

fn render_group(out: &mut String, group: Group, columns: &[Column]) {
    let _ = writeln!(out, "\n### {}\n", group.title());
    match (group, columns) {
        (Group::Idle, _) => idle(out, columns),
        (_, [column]) => by_figure(out, group, column),
        _ => by_cell(out, group, columns),
    }
    notes(out, columns);
}

/// One table, a column for each figure.
fn by_figure(out: &mut String, group: Group, column: &Column) {
    let figures: [Figure; 4] = [
        |column, server| column.cpu(server),
        |column, server| column.ratio(server),
        |column, server| column.rate(server),
        |column, server| column.latency(server),
    ];
    let figures = figures.map(|figure| move |server| figure(column, server));
    let _ = writeln!(out, "{}:\n", column.cell.title);
    let per_million = format!("CPU s per million {}", group.unit());
    let heads = [&per_million, "ratio to the floor", "a second", "delay p50 / p99"];
    rows(out, slice::from_ref(column), &heads, &figures);
}

/// A table for each figure, with a column for each cell.
fn by_cell(out: &mut String, group: Group, columns: &[Column]) {
    let unit = group.unit();
    let kinds: [(String, Figure); 4] = [
        (format!("CPU seconds of the server per million {unit}"), |column, server| {
            column.cpu(server)
        }),
        ("Ratio to the floor in the same round, median (min..max)".into(), |column, server| {
            column.ratio(server)
        }),
        (format!("{} a second", capital(unit)), |column, server| column.rate(server)),
        ("Delay, p50 / p99".into(), |column, server| column.latency(server)),
    ];
    let heads: Vec<&str> = columns.iter().map(|column| column.cell.title).collect();
    for (title, figure) in kinds {
        let _ = writeln!(out, "{title}:\n");
        let figures: Vec<_> =
            columns.iter().map(|column| move |server| figure(column, server)).collect();
        rows(out, columns, &heads, &figures);
        out.push('\n');
    }
}

fn idle(out: &mut String, columns: &[Column]) {
    let _ = writeln!(out, "KiB for each of {}:\n", columns[0].cell.title);
    let kinds: [fn(&Figures) -> Option<f64>; 4] = [
        |figures| figures.server.rss_kib_per_connection,
        |figures| figures.server.kernel_stack_kib_per_connection,
        |figures| figures.server.page_tables_kib_per_connection,
        |figures| {
            let of = &figures.server;
            Some(
                of.rss_kib_per_connection?
                    + of.kernel_stack_kib_per_connection?
                    + of.page_tables_kib_per_connection?,
            )
        },
    ];
    let figures = kinds.map(|figure| move |server| columns[0].median(server, figure).map(number));
    rows(out, columns, &["RSS", "kernel stacks", "page tables", "together"], &figures);
}

/// A table with a row for each server.
fn rows(
    out: &mut String,
    columns: &[Column],
    heads: &[&str],
    figures: &[impl Fn(Name) -> Option<String>],
) {
    let _ = writeln!(out, "| server | {} |", heads.join(" | "));
    let _ = writeln!(out, "|---{}|", "|---".repeat(heads.len()));
    for server in servers(columns) {
        let values: Vec<String> =
            figures.iter().map(|figure| figure(server).unwrap_or_else(|| "-".into())).collect();
        let _ = writeln!(out, "| {server} | {} |", values.join(" | "));
    }
}

/// Those that were asked, each once, in the order of the first round.
fn servers(columns: &[Column]) -> Vec<Name> {
    let mut servers = Vec::new();
    for outcome in columns.iter().flat_map(Column::outcomes) {
        if !servers.contains(&outcome.server) {
            servers.push(outcome.server);
        }
    }
    servers
}

/// Why figures are missing, and what a star means.
fn notes(out: &mut String, columns: &[Column]) {
    let mut notes: Vec<String> = Vec::new();
    for column in columns {
        for outcome in column.outcomes() {
            let Err(reason) = &outcome.figures else { continue };
            let note = format!("- {}, {}: {reason}", outcome.server, column.cell.title);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    let is_starred =
        columns.iter().filter(|column| column.cell.group != Group::Idle).any(|column| {
            servers(columns)
                .iter()
                .filter_map(|name| column.rate(*name))
                .any(|rate| rate.ends_with('*'))
        });
    if is_starred {
        notes.push("- `*` the load was busy all the time: the server can do more".into());
    }
    if !notes.is_empty() {
        if !out.ends_with("\n\n") {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", notes.join("\n"));
    }
}

fn capital(text: &str) -> String {
    format!("{}{}", text[..1].to_uppercase(), &text[1..])
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// With commas.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(microseconds: f64) -> String {
    match microseconds {
        _ if microseconds >= 1e6 => format!("{} s", number(microseconds / 1e6)),
        _ if microseconds >= 1000.0 => format!("{} ms", number(microseconds / 1e3)),
        _ => format!("{microseconds:.0} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(["0.13", "9.99", "10.1", "123"], [0.1251, 9.99, 10.12, 123.4].map(number)[..]);
        assert_eq!(
            ["7", "999", "1,000", "12,345,678"],
            [7.0, 999.0, 1000.0, 12_345_678.0].map(grouped)[..]
        );
        assert_eq!(["80 us", "1.50 ms", "2.00 s"], [80.0, 1500.0, 2e6].map(duration)[..]);
    }
}
