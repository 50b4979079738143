//! The table at the end: a row per act.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use crate::{act::Act, claims::human, tally::Tally};

const HEADER: [&str; 11] = [
    "act",
    "requests",
    "answers",
    "errors",
    "lost",
    "executions",
    "slowest",
    "led",
    "followed",
    "takeovers",
    "fail-opens",
];

pub(crate) fn table(acts: &[(Act, Tally)]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(HEADER);
    for (act, tally) in acts {
        let numbers = &tally.numbers;
        let counts = [numbers.led, numbers.followed, numbers.takeovers, numbers.fail_opens];
        let row = [tally.requests, tally.answers.right, tally.answers.errors, tally.lost, tally.executions];
        let row = row.iter().map(ToString::to_string).chain([human(tally.answers.slowest)]);
        table.add_row([act.name().to_owned()].into_iter().chain(row).chain(counts.iter().map(ToString::to_string)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{protocol::Numbers, tally::Answers};

    #[test]
    fn each_number_stands_under_its_name() {
        let numbers = Numbers { led: 6, followed: 7, takeovers: 8, fail_opens: 9, ..Numbers::default() };
        let answers = Answers { right: 2, errors: 3, slowest: Duration::from_millis(1250), first_error: None };
        let tally = Tally { requests: 1, answers, lost: 4, executions: 5, numbers };
        let text = table(&[(Act::Killed, tally)]).to_string();
        let cells = |line: &str| -> Vec<String> {
            line.split(['│', '┆']).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
        };
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(cells(lines[1]), HEADER);
        let row = ["leader killed", "1", "2", "3", "4", "5", "1.25 s", "6", "7", "8", "9"];
        assert_eq!(cells(lines[3]), row);
    }
}
