//! Names on the command line.

/// Those of `known` that `wanted` names, in their own order; all of them if nothing is wanted. A name is meant exactly
/// where it is one, and elsewhere as a part of names.
pub(crate) fn choose<T>(
    flag: &str,
    known: Vec<T>,
    name: impl Fn(&T) -> &str,
    wanted: &[String],
) -> Result<Vec<T>, String> {
    let mut chosen = vec![wanted.is_empty(); known.len()];
    for wanted in wanted {
        let is_exact = known.iter().any(|known| name(known) == wanted);
        let mut is_known = false;
        for (known, chosen) in known.iter().zip(&mut chosen) {
            let is_meant = if is_exact { name(known) == wanted } else { name(known).contains(wanted.as_str()) };
            *chosen |= is_meant;
            is_known |= is_meant;
        }
        if !is_known || wanted.is_empty() {
            let known: Vec<_> = known.iter().map(name).collect();
            return Err(format!("{flag} {wanted:?} names nothing here; there are {}", known.join(", ")));
        }
    }
    Ok(known.into_iter().zip(chosen).filter_map(|(known, chosen)| chosen.then_some(known)).collect())
}
