//! Names on the command line.

/// Those of `known` that `wanted` names, in their own order; all of them if nothing is wanted. A name in full means that
/// one alone, anything else every name that contains it.
///
/// `wanted` was split at commas, so a name that contains commas is put together again where it stands in full.
pub(crate) fn choose<T>(
    flag: &str,
    known: Vec<T>,
    name: impl Fn(&T) -> &str,
    mut wanted: &[String],
) -> Result<Vec<T>, String> {
    let mut chosen = vec![wanted.is_empty(); known.len()];
    while !wanted.is_empty() {
        let full = (1..=wanted.len()).rev().find_map(|parts| {
            let joined = wanted[..parts].join(",");
            let index = known.iter().position(|known| name(known) == joined.trim())?;
            Some((parts, index))
        });
        if let Some((parts, index)) = full {
            chosen[index] = true;
            wanted = &wanted[parts..];
            continue;
        }
        let part = wanted[0].trim();
        let mut is_known = false;
        for (known, chosen) in known.iter().zip(&mut chosen) {
            if !part.is_empty() && name(known).contains(part) {
                (*chosen, is_known) = (true, true);
            }
        }
        if !is_known {
            let known: Vec<_> = known.iter().map(name).collect();
            return Err(format!("{flag} {part:?} names nothing here; there are {}", known.join("; ")));
        }
        wanted = &wanted[1..];
    }
    Ok(known.into_iter().zip(chosen).filter_map(|(known, chosen)| chosen.then_some(known)).collect())
}
