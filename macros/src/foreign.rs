//! Options that there aren't: those of caches and of other languages' decorators, and misspelt ones.

use proc_macro2::Ident;

use crate::foreign_caches;

const KNOWN: [&str; 17] = [
    "blocking",
    "cache",
    "key",
    "skip",
    "in",
    "map_err",
    "result",
    "in_impl",
    "crate",
    "shards",
    "max_waiters_per_flight",
    "max_flights",
    "max_flight_duration",
    "max_extended_duration",
    "no_flight_deadline",
    "on_abandon",
    "on_expiry",
];

/// The option for the same purpose, or a similar name. The name itself, if it is known or there is none.
pub(crate) fn meant(name: &Ident) -> String {
    let name = name.to_string();
    let instead = same_purpose(&name).or_else(|| similar(&name, &KNOWN));
    instead.map_or(name, str::to_string)
}

/// What to do in place of an unknown option.
pub(crate) fn advice(name: &Ident) -> String {
    let name = name.to_string();
    if let Some(other) = same_purpose(&name) {
        let usage = match other {
            "key" => {
                "`key` here, an expression over the arguments: `key = \"(tenant, id)\"`. The key's type is inferred"
            }
            "skip" => "`skip` here: `skip(trace_id)` leaves arguments out of the key",
            "map_err" => {
                "`map_err` here: a function or closure from `TryJoinError<Arc<E>>` to the function's error `E`"
            }
            "in" => "`in` here: an expression of type `Handle`, such as `in = \"self.flights\"`",
            "max_flight_duration" => "`max_flight_duration` here: seconds, or a `Duration`",
            _ => "`max_flights` here, the cap on flights that are under way at the same time",
        };
        return format!("`{name}` is {usage}");
    }
    if let Some(advice) = foreign_caches::advice_outside(&name) {
        return advice;
    }
    if let Some(why) = none(&snake_case(&name)) {
        return format!("there is no `{name}`: {why}");
    }
    if let Some(other) = similar(&name, &KNOWN) {
        return format!("there is no option `{name}`; did you mean `{other}`?");
    }
    format!("there is no option `{name}`; there are {}", list(&KNOWN))
}

/// Whether it is an option, or has the purpose of one.
pub(crate) fn is_known(word: &str) -> bool {
    KNOWN.contains(&word) || same_purpose(word).is_some()
}

/// Why there is no such option.
pub(crate) fn none(word: &str) -> Option<&'static str> {
    Some(match word {
        "sync_writes" | "sync_writes_buckets" | "sync_lock" | "sync" | "lock" | "by_key" | "unsync_reads" => {
            "concurrent calls with equal keys share one execution in any case, and other keys never wait for it; remove it"
        }
        "ty" | "type" | "create" | "name" | "typed" | "map" | "hasher" | "custom_hasher" => {
            "types are inferred, and a coalescer of your own is named with `in = \"...\"`; remove it"
        }
        "companions" | "companions_vis" | "info" => "the companions are always generated; remove it",
        _ => return None,
    })
}

fn same_purpose(name: &str) -> Option<&'static str> {
    Some(match snake_case(name).as_str() {
        "convert" | "key_builder" | "key_fn" | "keyed_by" | "args" | "key_expr" => "key",
        "ignore" | "exclude" | "skip_args" | "noself" | "skip_all" | "without" => "skip",
        "map_error" | "error" | "err" | "error_with" => "map_err",
        "coalescer" | "handle" | "group" | "flights" => "in",
        "timeout" | "deadline" | "max_duration" => "max_flight_duration",
        "limit" | "max_concurrency" | "concurrency" => "max_flights",
        _ => return None,
    })
}

/// `TimeToLive` as `time_to_live`: some decorators have options in camel case.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// The known option that this is most likely a misspelling of.
pub(crate) fn similar(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let tolerated = name.len() / 4;
    let by_distance = |known: &&'static str| (distance(name, known), *known);
    let (distance, known) = known.iter().map(by_distance).min()?;
    (1..=tolerated).contains(&distance).then_some(known)
}

/// The number of characters to insert, remove or replace (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, character) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, expected) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(character != expected);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

pub(crate) fn list(known: &[&str]) -> String {
    let (last, others) = known.split_last().expect("there are options");
    format!("{} and {last}", others.join(", "))
}
