//! Names in addresses, and names that people type.

/// Whether two names are the same but for case, spaces and signs: `MoCo v2`, `moco-v2` and `MoCoV2`.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let plain = |c: &char| !c.is_ascii() || c.is_ascii_alphanumeric();
    let mut b = b.chars().filter(plain).map(|c| c.to_ascii_lowercase());
    a.chars().filter(plain).map(|c| c.to_ascii_lowercase()).eq(b.by_ref())
}

/// A name as it may stand in an address: small letters, digits and dashes. What is not ASCII is
/// kept apart by its number.
#[must_use]
pub fn slug(name: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut gap = false;
    for c in name.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push('-');
        }
        gap = false;
        if c.is_ascii() {
            out.push(c.to_ascii_lowercase());
        } else {
            let _ = write!(out, "u{:x}", u32::from(c));
        }
    }
    out
}

/// Whether a key can stand in addresses and file names as it is.
#[must_use]
pub(super) fn is_safe(key: &str) -> bool {
    let first = key.chars().next();
    first.is_some_and(|c| c.is_ascii_alphanumeric())
        && key.len() < 64
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// The known name that is most like `name`, if one is like it at all: a quarter of its letters may differ.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let near = known.map(|k| (distance(&name, &k.to_lowercase()), k));
    near.filter(|(d, k)| 4 * d <= name.chars().count().max(k.chars().count())).min_by_key(|(d, _)| *d).map(|(_, k)| k)
}

/// Letters to insert, remove, exchange or swap with the next between two names (Damerau and Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let exchanged = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = exchanged.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_people_do() {
        for name in ["MoCo v2", "moco-v2", "MoCoV2", "MOCO_V2"] {
            assert!(is_same("MoCo v2", name), "{name}");
        }
        assert!(!is_same("MoCo v2", "MoCo v1") && !is_same("ImageNet ½", "ImageNet"));
    }

    #[test]
    fn slugs_are_safe_and_tell_names_apart() {
        assert_eq!(slug("MoCo v2"), "moco-v2");
        assert_eq!(slug("  our pathology slides (2019)"), "our-pathology-slides-2019");
        assert_eq!(slug("日本"), "u65e5u672c");
        assert_ne!(slug("日本"), slug("日"));
        assert!(is_safe("SWAV_800") && is_safe("CalTech-101"));
        assert!(!is_safe("") && !is_safe("../x") && !is_safe("a b") && !is_safe("-x") && !is_safe(&"x".repeat(64)));
    }

    #[test]
    fn the_nearest_name_is_offered_and_strangers_are_not() {
        let known = ["Pets", "PetsDetection", "NYUDepth", "dtd"];
        assert_eq!(nearest("pet", known.into_iter()), Some("Pets"));
        assert_eq!(nearest("NYUDpeth", known.into_iter()), Some("NYUDepth"));
        assert_eq!(nearest("COCODetection", known.into_iter()), None);
        assert_eq!((distance("kitten", "sitting"), distance("nmae", "name")), (3, 1));
    }
}
