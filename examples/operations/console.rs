//! Prints stats and flights.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use shardflight::{FlightInfo, Inspection, Stats};

pub(crate) fn say(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

/// Prints the stats on one line, without the zeros.
pub(crate) fn show(stats: &Stats) {
    let counters = [
        ("joins", stats.joins),
        ("executions", stats.executions),
        ("coalesced", stats.coalesced),
        ("bypasses", stats.bypasses),
        ("rejections", stats.rejections),
        ("departures", stats.departures),
        ("timeouts", stats.timeouts),
        ("aborts", stats.aborts),
        ("flights now", stats.flights as u64),
        ("waiters now", stats.waiters as u64),
    ];
    let mut line = String::new();
    for (name, value) in counters.into_iter().filter(|(_, value)| *value > 0) {
        // Writing to a string can't fail.
        let _ = write!(line, "  {name} {value}");
    }
    if let Some(age) = stats.oldest_flight {
        let _ = write!(line, "  oldest {} ms", age.as_millis());
    }
    println!("  |{line}");
}

pub(crate) fn show_flights(inspection: &Inspection) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["", "flight", "shard", "age", "waiters", "key"]);
    for (title, flights) in [("most crowded", &inspection.crowded), ("oldest", &inspection.oldest)] {
        for (index, flight) in flights.iter().enumerate() {
            let FlightInfo { flight, shard, age, waiters, description, .. } = flight;
            table.add_row([
                if index == 0 { title.to_string() } else { String::new() },
                flight.to_string(),
                shard.to_string(),
                format!("{} ms", age.as_millis()),
                waiters.to_string(),
                description.clone().unwrap_or_default(),
            ]);
        }
    }
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}
