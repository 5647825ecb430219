//! Tables for a person: aligned columns and no lines.

use comfy_table::{CellAlignment, Table, presets};

/// Lays out rows under a header. Columns named in `numbers`, by position, are aligned to the right.
pub(crate) fn render<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    numbers: std::ops::Range<usize>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for index in numbers {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_under_each_other() {
        let rows =
            [("a", "1"), ("long", "100")].map(|(what, count)| [what.to_owned(), count.to_owned()]);
        insta::assert_snapshot!(render(["what", "count"], rows, 1..2), @"
        what  count
        a         1
        long    100
        ");
    }
}
