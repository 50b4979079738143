//! Tables on the terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

/// With the first `names` columns aligned left, and the numbers after them right. A contender's name in the header has a
/// line for each of its parts.
pub(crate) fn table<T: AsRef<str>>(names: usize, header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    let header = header.into_iter().map(|name| name.as_ref().replace(" + ", "\n+ ").replace(", ", ",\n"));
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
