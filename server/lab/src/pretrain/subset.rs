//! ViRB's subsets of the pictures that an encoder is trained on: which pictures, of their classes alone (Kotar et al.,
//! "Contrasting Contrastive Self-Supervised Representation Learning Pipelines", 2021).

use serde::{Deserialize, Serialize};
use virboard_nn::seeded::Stream;

/// How many of the pictures are taken, and how many of each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subset {
    /// All pictures.
    #[default]
    Full,
    /// Half of every class.
    Half,
    /// A quarter of every class.
    Quarter,
    /// Half in all; the sizes of the classes fall linearly from the first to the last.
    Linear,
    /// A quarter in all; the sizes of the classes fall exponentially, so that many pictures are of few classes.
    Log,
    /// A quarter of every source.
    Combination,
}

/// By how much the sizes of [`Subset::Log`] fall from the first class to behind the last: e to the power of minus this.
/// The solution of (1 - exp(-x)) / x = 1 / 4: equal classes of which the first is taken whole then give a quarter.
const FALL: f64 = 3.920_690_394_872_886;

/// How a subset is made.
struct Rule {
    name: &'static str,
    /// One picture of so many is taken.
    one_of: usize,
    /// The relative size of a class by its rank, from 0 to 1; none where every class keeps its share.
    fall: Option<Fall>,
}

/// What is left of a class's size at its rank, from 0 to 1.
type Fall = fn(f64) -> f64;

impl Subset {
    const fn rule(self) -> Rule {
        let (name, one_of, fall): (_, _, Option<Fall>) = match self {
            Self::Full => ("full", 1, None),
            Self::Half => ("half", 2, None),
            Self::Quarter => ("quarter", 4, None),
            Self::Linear => ("linear", 2, Some(|rank| 1.0 - rank)),
            Self::Log => ("log", 4, Some(|rank| (-FALL * rank).exp())),
            Self::Combination => ("combination", 4, None),
        };
        Rule { name, one_of, fall }
    }

    /// Its name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rule().name
    }

    /// Whether every picture must have a class.
    #[must_use]
    pub fn needs_classes(self) -> bool {
        self.rule().fall.is_some()
    }

    /// Whether it is taken of every source by itself, and not of all pictures together.
    #[must_use]
    pub fn of_each_source(self) -> bool {
        self == Self::Combination
    }

    /// Of how many pictures of a class so many are taken, for classes of these sizes. They add up to the sum of the
    /// sizes divided by 2 or 4, rounded down. Where sizes fall, larger classes come first, those of one size in random
    /// order; a class is never asked for more than it has (others give more, as much as their part of the fall), and
    /// every class that has pictures keeps one where that is possible.
    #[must_use]
    pub fn sizes(self, classes: &[usize], random: &mut Stream) -> Vec<usize> {
        let rule = self.rule();
        let target = classes.iter().sum::<usize>() / rule.one_of;
        let mut ranked: Vec<usize> = (0..classes.len()).collect();
        if rule.fall.is_some() {
            ranked = random.permutation(classes.len());
            ranked.sort_by_key(|class| std::cmp::Reverse(classes[*class]));
        }
        ranked.retain(|class| classes[*class] > 0);
        let room: Vec<usize> = ranked.iter().map(|class| classes[*class]).collect();
        let weight = |(rank, room): (usize, &usize)| match rule.fall {
            Some(fall) => fall((rank as f64 + 0.5) / ranked.len() as f64),
            None => *room as f64,
        };
        let weights: Vec<f64> = room.iter().enumerate().map(weight).collect();
        let ideal = filled(&weights, &room, target);
        let taken = rounded(&ideal, target, &room);
        let mut sizes = vec![0; classes.len()];
        for (class, taken) in ranked.iter().zip(taken) {
            sizes[*class] = taken;
        }
        sizes
    }

    /// The numbers of the pictures that are taken, in order, of pictures of these classes. Pictures without a class
    /// are a class of their own.
    #[must_use]
    pub fn choose(self, classes: &[Option<u32>], random: &mut Stream) -> Vec<usize> {
        if self == Self::Full {
            return (0..classes.len()).collect();
        }
        let mut members: std::collections::BTreeMap<Option<u32>, Vec<usize>> = std::collections::BTreeMap::new();
        for (picture, class) in classes.iter().enumerate() {
            members.entry(*class).or_default().push(picture);
        }
        let sizes: Vec<usize> = members.values().map(Vec::len).collect();
        let mut chosen: Vec<usize> = self
            .sizes(&sizes, random)
            .into_iter()
            .zip(members.values())
            .flat_map(|(size, members)| some(members, size, random))
            .collect();
        chosen.sort_unstable();
        chosen
    }
}

/// So many of some numbers, each choice equally likely, in order.
#[must_use]
pub fn some(of: &[usize], count: usize, random: &mut Stream) -> Vec<usize> {
    let mut chosen: Vec<usize> = random.permutation(of.len()).into_iter().take(count).map(|i| of[i]).collect();
    chosen.sort_unstable();
    chosen
}

/// Sizes in proportion to the weights, at least one and never more than there is room for, that add up to `target`
/// where there is so much room and one for each.
fn filled(weights: &[f64], room: &[usize], target: usize) -> Vec<f64> {
    let sizes = |times: f64| -> Vec<f64> {
        weights.iter().zip(room).map(|(w, room)| (times * w).clamp(1f64.min(*room as f64), *room as f64)).collect()
    };
    // The sum grows with the factor; 200 halvings leave nothing between the bounds.
    let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
    let most = room.iter().copied().max().unwrap_or(0) as f64;
    let (mut low, mut high) = (0.0, most / least);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if sizes(middle).iter().sum::<f64>() < target as f64 {
            low = middle;
        } else {
            high = middle;
        }
    }
    sizes(high)
}

/// Whole numbers next to the ideal ones that add up to `target`, as far as there is room: those with the largest
/// remainders are rounded up, the first of equals.
fn rounded(ideal: &[f64], target: usize, room: &[usize]) -> Vec<usize> {
    let mut sizes: Vec<usize> = ideal.iter().zip(room).map(|(size, room)| (*size as usize).min(*room)).collect();
    let mut order: Vec<usize> = (0..ideal.len()).collect();
    order.sort_by(|a, b| ideal[*b].fract().total_cmp(&ideal[*a].fract()));
    let mut left = target.saturating_sub(sizes.iter().sum());
    for i in order.iter().filter(|i| sizes[**i] < room[**i]).copied().collect::<Vec<_>>() {
        if left == 0 {
            break;
        }
        sizes[i] += 1;
        left -= 1;
    }
    // More classes than pictures are wanted: one each was too many.
    let mut over = sizes.iter().sum::<usize>().saturating_sub(target);
    for size in sizes.iter_mut().rev().filter(|size| **size > 0) {
        if over == 0 {
            break;
        }
        *size -= 1;
        over -= 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(subset: Subset, classes: &[usize]) -> Vec<usize> {
        subset.sizes(classes, &mut Stream::new(0, "sizes"))
    }

    #[test]
    fn every_subset_is_read_by_its_name() {
        for name in ["full", "half", "quarter", "linear", "log", "combination"] {
            let read: Subset = serde_json::from_str(&format!("\"{name}\"")).expect("its name is its setting");
            assert_eq!(read.name(), name);
        }
        assert!(serde_json::from_str::<Subset>("\"third\"").is_err());
    }

    #[test]
    fn half_and_quarter_keep_the_balance_of_classes() {
        assert_eq!(sizes(Subset::Half, &[10, 10, 4]), [5, 5, 2]);
        assert_eq!(sizes(Subset::Quarter, &[8, 8, 8, 8]), [2, 2, 2, 2]);
        // 18 / 2 = 9: of three halves, the first is rounded up.
        assert_eq!(sizes(Subset::Half, &[5, 5, 8]), [3, 2, 4]);
        // 13 / 4 = 3: one of each rather than two of the first and none of the last.
        assert_eq!(sizes(Subset::Quarter, &[7, 3, 3]), [1, 1, 1]);
        assert_eq!(sizes(Subset::Combination, &[40, 20]), [10, 5]);
        assert_eq!(sizes(Subset::Full, &[7, 3]), [7, 3]);
    }

    #[test]
    fn linear_classes_fall_by_the_same_step() {
        let mut taken = sizes(Subset::Linear, &[100; 10]);
        taken.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        assert_eq!(taken, [95, 85, 75, 65, 55, 45, 35, 25, 15, 5]);
    }

    #[test]
    fn log_classes_fall_by_the_same_factor_to_a_quarter() {
        let taken = {
            let mut taken = sizes(Subset::Log, &[1300; 100]);
            taken.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
            taken
        };
        assert_eq!(taken.iter().sum::<usize>(), 1300 * 100 / 4);
        let factor = (-FALL / 100.0).exp();
        for pair in taken.windows(2) {
            assert!((pair[1] as f64 - factor * pair[0] as f64).abs() <= 1.5, "{pair:?}");
        }
        assert!(taken[0] > 1250 && taken[99] < 30 && taken[99] > 20, "{taken:?}");
        // A tenth of the classes has about a third of the pictures.
        let first: usize = taken[..10].iter().sum();
        assert!((0.3..0.36).contains(&(first as f64 / 32500.0)), "{first}");
    }

    #[test]
    fn unequal_classes_add_up_and_still_fall() {
        // The sizes of Caltech-101's classes: some large ones, many small ones.
        let classes: Vec<usize> = (0..101).map(|i| if i % 20 == 3 { 435 - i } else { 25 + (i * 7) % 60 }).collect();
        let all: usize = classes.iter().sum();
        for (subset, wanted) in [(Subset::Linear, all / 2), (Subset::Log, all / 4)] {
            let taken = sizes(subset, &classes);
            assert_eq!(taken.iter().sum::<usize>(), wanted, "{subset:?}");
            assert!(taken.iter().zip(&classes).all(|(t, c)| (1..=*c).contains(t)), "{subset:?} {taken:?}");
            let mut falling: Vec<(usize, usize)> = classes.iter().copied().zip(taken).collect();
            falling.sort_unstable_by_key(|class| std::cmp::Reverse(class.0));
            let largest: Vec<usize> = falling.iter().map(|(c, _)| *c).collect();
            for (i, pair) in falling.windows(2).enumerate() {
                assert!(pair[0].1 >= pair[1].1 || largest[i] == largest[i + 1], "{subset:?} at {i}: {falling:?}");
            }
        }
    }

    #[test]
    fn few_pictures_make_small_subsets() {
        assert_eq!(sizes(Subset::Log, &[1, 1, 1]), [0, 0, 0]);
        assert_eq!(sizes(Subset::Linear, &[1, 1, 1, 1]).iter().sum::<usize>(), 2);
        assert_eq!(sizes(Subset::Linear, &[0, 4]), [0, 2]);
        assert_eq!(sizes(Subset::Linear, &[]), [0; 0]);
    }

    #[test]
    fn pictures_are_chosen_by_seed_in_order_and_evenly() {
        let classes: Vec<Option<u32>> = (0..40).map(|i| Some(i % 4)).collect();
        let chosen = |seed| Subset::Half.choose(&classes, &mut Stream::new(seed, "subset"));
        assert_eq!(chosen(0), chosen(0));
        assert_ne!(chosen(0), chosen(1));
        let mut seen = [0u32; 40];
        for seed in 0..2000 {
            let chosen = chosen(seed);
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            for class in 0..4 {
                assert_eq!(chosen.iter().filter(|i| **i % 4 == class).count(), 5);
            }
            for i in chosen {
                seen[i] += 1;
            }
        }
        // 1000 each, with a deviation of 22.
        assert!(seen.iter().all(|n| (885..=1115).contains(n)), "{seen:?}");
        assert_eq!(Subset::Quarter.choose(&[None; 9], &mut Stream::new(0, "subset")).len(), 2);
    }
}
