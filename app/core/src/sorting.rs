//! The columns by which a table is sorted, as an address has them: `-score,name`.

/// Names of columns, the first before the second, and whether the other way round.
pub type Sorting = Vec<(String, bool)>;

/// Most columns that are read.
const MOST: usize = 4;

/// Reads names of columns, each with a minus for the other way round.
pub(crate) fn read(names: Vec<String>) -> Sorting {
    let one = |name: String| match name.strip_prefix('-') {
        Some(column) => (column.to_owned(), true),
        None => (name, false),
    };
    names.into_iter().take(MOST).map(one).collect()
}

/// What [`read`] takes, joined by commas.
pub(crate) fn written(sorting: &[(String, bool)]) -> String {
    sorting.iter().map(|(c, r)| format!("{}{c}", if *r { "-" } else { "" })).collect::<Vec<_>>().join(",")
}

/// Sorted by `column` too, where it was level before; sorted by it already, by it the other way round.
pub(crate) fn then_by(sorting: &[(String, bool)], column: &str) -> Sorting {
    let mut sorting = sorting.to_vec();
    match sorting.iter_mut().find(|(c, _)| c == column) {
        Some((_, reverse)) => *reverse = !*reverse,
        None => sorting.push((column.to_owned(), false)),
    }
    sorting
}

/// Whether `column` is among them: its place from 1, and whether the other way round.
pub(crate) fn place(sorting: &[(String, bool)], column: &str) -> Option<(usize, bool)> {
    let at = sorting.iter().position(|(c, _)| c == column)?;
    Some((at + 1, sorting[at].1))
}
