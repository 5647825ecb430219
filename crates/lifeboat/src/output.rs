//! Data to stdout, all else to stderr.

use std::fmt::{self, Write as _};
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// The form in which a command prints its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One document of a documented shape (docs/reference/json.md)
    Json,
    /// The lines of the platform's own restore scripts, for what parses those
    Script,
}

/// The result of a command in its three forms. The JSON form is the serialised value itself.
pub(crate) trait View: Serialize {
    fn table(&self) -> String;

    /// What the platform's scripts would have printed; the table where they had no such command.
    fn script(&self) -> String {
        self.table()
    }
}

/// Where results go.
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn show(&self, view: &impl View) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.text(&view.table()),
            Format::Script => self.text(&view.script()),
            Format::Json => {
                let mut text = serde_json::to_string_pretty(view)
                    .map_err(|error| Failure::new(lifeboat_core::error::Kind::Bug, error))?;
                text.push('\n');
                self.text(&text)
            }
        }
    }

    /// Prints a line only in script form: what the platform's scripts print while they work.
    pub(crate) fn script_line(&self, line: &str) -> Result<(), Failure> {
        if self.format == Format::Script {
            self.text(&format!("{line}\n"))?;
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "stdout belongs to the output")]
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = anstream::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            // `lifeboat … | head` has what it wanted.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

/// Text for people, line by line.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("a String takes everything");
        self.0.push('\n');
    }

    /// Adds text that is made of whole lines.
    pub(crate) fn lines(&mut self, lines: &str) {
        self.0.push_str(lines);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

/// Lays rows out in columns under their headings, two spaces apart.
pub(crate) fn columns<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.map(str::to_uppercase));
    for row in rows {
        table.add_row(row.to_vec());
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let numeric = rows
            .iter()
            .all(|row| row[index].starts_with(|c: char| c.is_ascii_digit()));
        if numeric && !rows.is_empty() && is_amount(headings[index]) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn is_amount(heading: &str) -> bool {
    !matches!(
        heading,
        "name"
            | "taken"
            | "completed"
            | "value"
            | "written"
            | "removed"
            | "id"
            | "found"
            | "what"
            | "path"
            | "why"
    )
}
