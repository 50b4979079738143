//! Options of other caches and of their decorators, inside and outside of the brackets of `cache`.

use crate::{
    cache::KNOWN,
    foreign::{self, list, similar, snake_case},
};

/// What to do in place of an option that `cache` doesn't have.
pub(crate) fn advice_inside(name: &str) -> String {
    let word = snake_case(name);
    if let Some((option, example)) = same_purpose(&word) {
        return format!("`{name}` is `{option}` here: `{example}`");
    }
    if let Some(why) = none(&word).or_else(|| foreign::none(&word)) {
        return format!("there is no `{name}`: {why}");
    }
    if foreign::is_known(&word) {
        return format!("`{name}` is no option of `cache`: write it outside of the brackets");
    }
    match similar(name, &KNOWN) {
        Some(other) => format!("`cache` has no option `{name}`; did you mean `{other}`?"),
        None => format!("`cache` has no option `{name}`; there are {}", list(&KNOWN)),
    }
}

/// The same outside of its brackets, if it is an option of caches.
pub(crate) fn advice_outside(name: &str) -> Option<String> {
    let word = snake_case(name);
    let own = KNOWN.into_iter().find(|known| *known == word).map(|known| (known, example(known)));
    if let Some((option, example)) = own.or_else(|| same_purpose(&word)) {
        let example = if option == "ttl" { example.to_string() } else { format!("ttl = \"60s\", {example}") };
        let itself = if option == name { String::new() } else { format!("`{option}` here, ") };
        return Some(format!("`{name}` is {itself}an option of `cache`: `cache({example})`"));
    }
    let why = none(&word)?;
    Some(format!("there is no `{name}`: nothing is kept without `cache`, and with it {why}"))
}

/// The option for the same purpose, and how it is written.
fn same_purpose(word: &str) -> Option<(&'static str, &'static str)> {
    let option = match word {
        "time" | "time_to_live" | "ttl_secs" | "ttl_millis" | "expire" | "expiration" | "max_age" => "ttl",
        "size" | "max_size" | "maxsize" | "capacity" | "max_capacity" => "max_entries",
        "result_fallback" | "fail_safe" | "stale_on_error" | "grace" => "stale_if_error",
        "swr" | "stale" => "stale_while_revalidate",
        "eager_refresh" | "early_refresh" | "refresh_after" => "refresh_ahead",
        "negative" | "neg_ttl" | "error_ttl" => "negative_ttl",
        "xfetch" | "beta" => "refresh_ahead_xfetch",
        "tag" | "tags" | "expires" => "fill",
        _ => return None,
    };
    Some((option, example(option)))
}

fn example(option: &'static str) -> &'static str {
    match option {
        "ttl" => "ttl = \"60s\"",
        "max_entries" => "max_entries = 10_000",
        "max_weight" | "weigher" => "max_weight = 1 << 20, weigher = \"|key, value| value.len() as u64\"",
        "jitter" => "jitter = 0.1",
        "refresh_ahead" => "refresh_ahead = 0.8",
        "refresh_ahead_xfetch" => "refresh_ahead_xfetch = 1.0",
        "stale_while_revalidate" => "stale_while_revalidate = \"10s\"",
        "error_backoff" => "stale_if_error = \"1h\", error_backoff = \"1s..=30s\"",
        "soft_timeout" => "stale_if_error = \"1h\", soft_timeout = \"100ms\"",
        "negative_ttl" | "negative_if" => "negative_ttl = \"5s\", negative_if = \"LoadError::is_not_found\"",
        "fill" => "fill = \"|user| Fill::new(user).tag(\\\"users\\\")\"",
        _ => "stale_if_error = \"1h\"",
    }
}

/// Why there is no such option.
fn none(word: &str) -> Option<&'static str> {
    Some(match word {
        "time_refresh" | "refresh" | "refresh_on_hit" | "time_to_idle" | "tti" => {
            "a read doesn't prolong a value's life. `refresh_ahead = 0.8` loads anew what is read shortly before it expires"
        }
        "result" | "cache_err" | "cache_errors" => {
            "errors are not kept, but for those that `negative_if` accepts, for the `negative_ttl`; remove it"
        }
        "option" | "cache_none" => {
            "`None` is kept as any value is. `negative_if = \"Option::is_none\"` keeps it for the `negative_ttl` instead"
        }
        "unbound" | "unbounded" => {
            "a cache is bounded: by `max_entries`, 10,000 by default, or by `max_weight`; remove it"
        }
        "with_cached_flag" => "a call returns the value alone. The companion `…_cache_stats` counts hits and misses",
        "force_refresh" | "skip_cache_func" => {
            "the companion `…_refresh` loads a value that the cache has, and `…_no_coalesce` reads and fills none"
        }
        "disk"
        | "disk_dir"
        | "redis"
        | "cache_prefix_block"
        | "namespace"
        | "connection_config"
        | "sync_to_disk_on_cache_change"
        | "shared_cache" => "values are kept in the memory of this process alone; remove it",
        _ => return None,
    })
}
