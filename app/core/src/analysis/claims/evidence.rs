//! What the scores say of each claim: whether it holds, and the numbers behind it; nothing where
//! there are too few.

use crate::analysis::Matrix;
use crate::analysis::caution::{POINTS, correlation};
use crate::analysis::effects::{SIMILAR, best_against_supervised, changes, comparable, method_change};
use crate::analysis::report::{percent, probability};
use crate::catalogue::encoder::{Encoder, EncoderRole, Method, Pretraining};
use crate::catalogue::task::Category;
use crate::statistics::{mean, sign_test};
use crate::words::counted;

/// Whether a claim holds, and why.
pub type Outcome = Option<(bool, String)>;

pub fn early_and_late(moco: f64, swav: f64) -> (bool, String) {
    (moco > swav, format!("Mean CKA of the first and the last layer: MoCo v2 {moco:.3}, SwAV {swav:.3}."))
}

fn is_structural(c: Category) -> bool {
    matches!(c, Category::ImageStructural | Category::PixelStructural)
}

fn self_supervised(e: &Encoder) -> bool {
    !matches!(e.method, Method::Supervised | Method::Random)
}

pub fn complete(m: &Matrix) -> Outcome {
    let of_paper = |e: &Encoder| e.role == EncoderRole::Paper || (e.stands_for.is_some() && self_supervised(e));
    let paper: Vec<usize> = (0..m.encoders.len()).filter(|e| of_paper(&m.encoders[*e])).collect();
    let tasks: Vec<usize> = (0..m.tasks.len()).filter(|t| m.tasks[*t].key != "Imagenetv2").collect();
    let cells = paper
        .iter()
        .flat_map(|e| tasks.iter().map(move |t| (*e, *t)))
        .filter(|(e, t)| m.score(*e, *t).is_some())
        .count();
    let all = paper.len() * tasks.len();
    (cells == all && paper.len() >= 30 && tasks.len() >= 20)
        .then(|| (true, format!("{cells} of {all} cells have a score.")))
}

/// Correlation with ImageNet, of at least so many encoders.
fn with_imagenet(m: &Matrix, task: &str, least: usize) -> Option<(f64, f64)> {
    let (_, x, y) = m.pairs(m.task("Imagenet")?, m.task(task)?);
    let c = correlation(&x, &y, false).filter(|c| c.n >= least)?;
    Some((c.r, c.p))
}

pub fn proxy(m: &Matrix) -> Outcome {
    let of =
        |keys: &[&str]| mean(&keys.iter().filter_map(|k| with_imagenet(m, k, POINTS)).map(|c| c.0).collect::<Vec<_>>());
    let (near, far) = (of(&["CalTech-101", "CIFAR-100"])?, of(&["NYUDepth", "THORDepth", "TaskonomyDepth"])?);
    Some((
        near > 0.5 && far < 0.5 * near,
        format!("Mean r with ImageNet: {near:.2} for CalTech and CIFAR-100, {far:.2} for depth."),
    ))
}

pub fn negative(m: &Matrix) -> Outcome {
    let all: Vec<(&str, f64, f64)> = m
        .tasks
        .iter()
        .filter(|t| !t.is("Imagenet"))
        .filter_map(|t| with_imagenet(m, &t.key, 10).map(|(r, p)| (&*t.name, r, p)))
        .collect();
    let lowest = all.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let found = all.iter().filter(|c| c.1 < 0.0 && c.2 < 0.05).count();
    Some((
        found > 0,
        format!(
            "{found} of {} tasks fall with ImageNet (p < 0.05); lowest: {}, r = {:.2}, {}.",
            all.len(),
            lowest.0,
            lowest.1,
            probability(lowest.2)
        ),
    ))
}

/// Mean normalised score of the comparable encoders with this training data on tasks that pass.
fn mean_score(m: &Matrix, p: &Pretraining, pass: impl Fn(Category) -> bool) -> Option<f64> {
    let rows = (0..m.encoders.len()).filter(|e| comparable(&m.encoders[*e]) && m.encoders[*e].pretraining == *p);
    let all: Vec<f64> = rows
        .flat_map(|e| (0..m.tasks.len()).map(move |t| (e, t)))
        .filter(|(_, t)| pass(m.tasks[*t].category))
        .filter_map(|(e, t)| m.standardised(e, t))
        .collect();
    mean(&all)
}

pub fn semantic_structural(m: &Matrix) -> Outcome {
    const SETS: [Pretraining; 5] = [
        Pretraining::ImageNet,
        Pretraining::Places,
        Pretraining::Kinetics,
        Pretraining::Taskonomy,
        Pretraining::Combination,
    ];
    let best = |pass: fn(Category) -> bool| {
        let all: Vec<_> = SETS.into_iter().filter_map(|p| mean_score(m, &p, pass).map(|s| (p, s))).collect();
        let has = |p: Pretraining| all.iter().any(|a: &(Pretraining, f64)| a.0 == p);
        if !(has(Pretraining::ImageNet) && has(Pretraining::Places)) {
            return None;
        }
        all.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let (semantic, structural) = (best(|c| !is_structural(c))?, best(is_structural)?);
    let ok = semantic.0 == Pretraining::ImageNet && structural.0 == Pretraining::Places;
    Some((
        ok,
        format!(
            "Best on average: {} for semantic tasks ({:+.2}), {} for structural ones ({:+.2}).",
            semantic.0.name(),
            semantic.1,
            structural.0.name(),
            structural.1
        ),
    ))
}

pub fn similar(m: &Matrix) -> Outcome {
    let mut sides = Vec::new();
    for (key, own) in SIMILAR {
        let Some(t) = m.task(key) else { continue };
        let rows: Vec<usize> =
            (0..m.encoders.len()).filter(|e| comparable(&m.encoders[*e]) && m.good(*e, t).is_some()).collect();
        let has = rows.iter().any(|e| m.encoders[*e].pretraining == own);
        let others = rows.iter().any(|e| m.encoders[*e].pretraining != own);
        if let (true, Some(best)) = (has && others, m.best(t, comparable)) {
            sides.push((&*m.tasks[t].name, m.encoders[best].pretraining == own));
        }
    }
    let won: Vec<&str> = sides.iter().filter(|s| s.1).map(|s| s.0).collect();
    (!sides.is_empty()).then(|| {
        (
            won.len() == sides.len(),
            format!(
                "True of {} of {}: {}.",
                won.len(),
                counted(sides.len(), "task"),
                if won.is_empty() { "none".to_owned() } else { won.join(", ") }
            ),
        )
    })
}

pub fn combination(m: &Matrix) -> Outcome {
    let tasks: Vec<usize> = (0..m.tasks.len())
        .filter(|t| {
            let of = |combined: bool| {
                (0..m.encoders.len()).any(|e| {
                    let x = &m.encoders[e];
                    comparable(x) && (x.pretraining == Pretraining::Combination) == combined && m.good(e, *t).is_some()
                })
            };
            of(true) && of(false)
        })
        .collect();
    let best = tasks
        .iter()
        .filter(|t| m.best(**t, comparable).is_some_and(|e| m.encoders[e].pretraining == Pretraining::Combination))
        .count();
    let all = |_| true;
    let (own, imagenet, places) = (
        mean_score(m, &Pretraining::Combination, all)?,
        mean_score(m, &Pretraining::ImageNet, all)?,
        mean_score(m, &Pretraining::Places, all)?,
    );
    (tasks.len() >= 3).then(|| {
        let ok = best == 0 && imagenet > own && places > own;
        (ok, format!("Combination is best on {best} of {} tasks; averages: ImageNet {imagenet:+.2}, Places {places:+.2}, Combination {own:+.2}.", tasks.len()))
    })
}

pub fn imbalance(m: &Matrix) -> Outcome {
    let (all, ..) = changes(m, &Pretraining::QuarterImageNet, &Pretraining::LogImageNet);
    let values: Vec<f64> = all.iter().map(|c| c.1).collect();
    let (average, signs) = (mean(&values)?, sign_test(&values)?);
    let harm = average < -0.01 && sign_test(&values.iter().map(|v| -v).collect::<Vec<_>>())?.greater < 0.05;
    (values.len() >= 5).then(|| {
        (
            !harm,
            format!(
                "{} on average over {} tasks, better on {}, worse on {}.",
                percent(average),
                values.len(),
                signs.wins,
                signs.losses
            ),
        )
    })
}

pub fn methods(m: &Matrix) -> Outcome {
    let of = |c: Category| -> Vec<f64> {
        (0..m.tasks.len())
            .filter(|t| m.tasks[*t].category == c && m.tasks[*t].key != "Imagenetv2")
            .filter_map(|t| method_change(m, t))
            .collect()
    };
    let pixel = [of(Category::PixelSemantic), of(Category::PixelStructural)].concat();
    let image = of(Category::ImageSemantic);
    let all = [pixel.clone(), image.clone(), of(Category::ImageStructural)].concat();
    let wins = |v: &[f64]| v.iter().filter(|c| **c > 0.0).count();
    if pixel.len() < 2 || image.len() < 2 {
        return None;
    }
    let share = wins(&all) as f64 / all.len() as f64;
    let ok = 2 * wins(&pixel) > pixel.len() && 2 * wins(&image) < image.len() && (0.35..=0.65).contains(&share);
    Some((
        ok,
        format!(
            "MoCo v2 wins {} of {} pixel-wise, {} of {} image-level semantic and {} of all {} tasks.",
            wins(&pixel),
            pixel.len(),
            wins(&image),
            image.len(),
            wins(&all),
            all.len()
        ),
    ))
}

pub fn best(m: &Matrix) -> Outcome {
    const EXPECTED: [&str; 3] = ["Imagenet", "Imagenetv2", "Pets"];
    let all = best_against_supervised(m);
    let lost: Vec<usize> = all.iter().filter(|f| f.2 <= 0.0).map(|f| f.0).collect();
    let is_expected = |t: &usize| EXPECTED.into_iter().any(|key| m.tasks[*t].is(key));
    let expected: Vec<usize> = all.iter().map(|f| f.0).filter(is_expected).collect();
    (all.len() >= 5 && !expected.is_empty()).then(|| {
        let names: Vec<&str> = lost.iter().map(|t| &*m.tasks[*t].key).collect();
        let said = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        (
            lost == expected,
            format!("Not beaten on {said}; beaten on {} of {} tasks.", all.len() - lost.len(), all.len()),
        )
    })
}

pub fn structural(m: &Matrix) -> Outcome {
    let share = |pass: &dyn Fn(Category) -> bool| {
        let all: Vec<f64> = (0..m.encoders.len())
            .filter(|e| self_supervised(&m.encoders[*e]))
            .flat_map(|e| (0..m.tasks.len()).map(move |t| (e, t)))
            .filter(|(_, t)| pass(m.tasks[*t].category))
            .filter_map(|(e, t)| m.relative(e, t))
            .collect();
        (all.len() >= 5).then(|| all.iter().filter(|r| **r > 0.0).count() as f64 / all.len() as f64)
    };
    let (structural, others) = (share(&is_structural)?, share(&|c| !is_structural(c))?);
    Some((
        structural >= 0.8 && others < structural,
        format!(
            "{:.0} % of the scores on structural tasks are above Supervised’s, {:.0} % on the others.",
            100.0 * structural,
            100.0 * others
        ),
    ))
}

pub fn swav(m: &Matrix) -> Outcome {
    let row = m.encoder("SWAV_800")?;
    let all: Vec<f64> =
        (0..m.tasks.len()).filter(|t| m.tasks[*t].key != "Imagenetv2").filter_map(|t| m.relative(row, t)).collect();
    let signs = sign_test(&all)?;
    let share = signs.wins as f64 / all.len() as f64;
    (all.len() >= 8).then(|| {
        (
            share > 0.75,
            format!(
                "Better on {} of {} tasks ({:.0} %), sign test {}.",
                signs.wins,
                all.len(),
                100.0 * share,
                probability(signs.greater)
            ),
        )
    })
}

pub fn winners(m: &Matrix) -> Outcome {
    let contested = (0..m.tasks.len()).filter(|t| m.covered(*t) >= 2);
    let best: Vec<&Encoder> = contested.filter_map(|t| m.best(t, self_supervised)).map(|e| &*m.encoders[e]).collect();
    let sets = (0..m.encoders.len())
        .filter(|e| self_supervised(&m.encoders[*e]) && (0..m.tasks.len()).any(|t| m.score(*e, t).is_some()));
    let several = sets
        .map(|e| &m.encoders[e].pretraining)
        .filter(|p| !matches!(p, Pretraining::ImageNet | Pretraining::Places))
        .count();
    let own = |e: &&&Encoder| {
        use Pretraining::{Combination, Kinetics, Other, Taskonomy, Unknown};
        !matches!(e.pretraining, Kinetics | Taskonomy | Combination | Other(_) | Unknown)
    };
    let won = best.iter().filter(own).count();
    (best.len() >= 5 && several > 0).then(|| {
        (2 * won > best.len(), format!("{won} of {} winners saw ImageNet (or a part of it) or Places.", best.len()))
    })
}

pub fn advice(m: &Matrix) -> Outcome {
    let all = crate::analysis::standing::standings(m);
    let swav = &m.encoders[m.encoder("SWAV_800")?];
    let first = all.of(&swav.key)?;
    let structural: Vec<usize> = (0..m.tasks.len()).filter(|t| is_structural(m.tasks[*t].category)).collect();
    let own = crate::analysis::standing::standings(&m.only_tasks(&structural));
    let best = own.places.first().filter(|_| own.places.len() >= 3)?;
    let encoder = |key: &str| m.encoder(key).map(|e| &m.encoders[e]);
    let best = encoder(&best.encoder)?;
    let places = own.places.iter().filter_map(|s| encoder(&s.encoder)).any(|e| e.pretraining == Pretraining::Places);
    (places && all.places.len() >= 3).then(|| {
        let ok = first.group == 1 && best.pretraining == Pretraining::Places;
        (
            ok,
            format!(
                "{} is at place {} of {} (group {}); on structural tasks {} leads.",
                swav.name,
                first.place,
                all.places.len(),
                first.group,
                best.name
            ),
        )
    })
}
