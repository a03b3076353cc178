//! Runs that come from elsewhere, held against those that are there.

use super::runs::add_run;
use super::scores::{find, set_aside};
use super::{Result, Store};
use virboard_core::run::{Run, Score};

/// What becomes of a run that came from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// There was none like it.
    Added,
    /// It is here as it is.
    Unchanged,
    /// It is here as it is, and what was missing of it (a head, a curve) was added.
    Completed,
    /// It took the place of this one, which is kept among the former scores.
    Replaced(Box<Score>),
    /// It says something else than this one of the same training, which stays.
    Conflict(Box<Score>),
}

/// Which runs may take the place of another score of the same training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// None.
    Never,
    /// Those that ended later, and those that differ in nothing but whether they are the answer.
    Newer,
    /// All.
    Always,
}

/// Two numbers that are the same to all digits that a spreadsheet keeps.
fn is_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

/// Whether a score says something else than another of the same training. What it does not say
/// is no difference.
fn differs(new: &Score, old: &Score) -> bool {
    let interval = match (new.interval, old.interval) {
        (Some(a), Some(b)) => !is_equal(a.low, b.low) || !is_equal(a.high, b.high),
        (a, _) => a.is_some(),
    };
    let constant = match (new.constant, old.constant) {
        (Some(a), Some(b)) => !is_equal(a, b),
        (a, _) => a.is_some(),
    };
    let samples = new.evidence.test_samples;
    !is_equal(new.value, old.value)
        || interval
        || constant
        || (samples != 0 && samples != old.evidence.test_samples)
        || new.evidence.selected != old.evidence.selected
}

/// What has become of a run beside an older one of the same training.
fn beside(new: &Score, old: Score, replace: Replace) -> Arrival {
    if !differs(new, &old) {
        return Arrival::Unchanged;
    }
    let alike = || {
        let mut same = old.clone();
        same.evidence.selected = new.evidence.selected;
        !differs(new, &same)
    };
    let newer = || new.evidence.finished_at > old.evidence.finished_at;
    match replace {
        Replace::Always => Arrival::Replaced(Box::new(old)),
        Replace::Newer if newer() || alike() => Arrival::Replaced(Box::new(old)),
        Replace::Newer | Replace::Never => Arrival::Conflict(Box::new(old)),
    }
}

impl Store {
    /// Takes in runs that came from elsewhere and says what became of each. `keep` sees that
    /// before anything is written for good: where it says no, nothing was.
    pub async fn take_in(
        &self,
        runs: &[Run],
        replace: Replace,
        keep: impl FnOnce(&[Arrival]) -> bool,
    ) -> Result<Vec<Arrival>> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let mut arrivals = Vec::with_capacity(runs.len());
        for run in runs {
            let Some((id, old)) = find(&mut tx, &run.score).await? else {
                add_run(&mut tx, run).await?;
                arrivals.push(Arrival::Added);
                continue;
            };
            let mut run = run.clone();
            let curve = match old.run {
                Some(old) if !run.epochs.is_empty() => {
                    sqlx::query_scalar::<_, i64>("select count(*) from epochs where run = $1")
                        .bind(old)
                        .fetch_one(&mut *tx)
                        .await?
                }
                _ => 0,
            };
            let more = (old.head.is_empty() && !run.score.head.is_empty())
                || (old.predictions.is_empty() && !run.score.predictions.is_empty())
                || (curve == 0 && !run.epochs.is_empty());
            let mut arrival = beside(&run.score, old.clone(), replace);
            if arrival == Arrival::Unchanged && more {
                arrival = Arrival::Completed;
                let keep_old = |new: &mut String, old: String| {
                    if new.is_empty() {
                        *new = old;
                    }
                };
                keep_old(&mut run.score.head, old.head);
                keep_old(&mut run.score.predictions, old.predictions);
                run.score.interval = run.score.interval.or(old.interval);
                run.score.constant = run.score.constant.or(old.constant);
            }
            match &arrival {
                Arrival::Replaced(_) => set_aside(&mut tx, id).await?,
                Arrival::Completed => {
                    sqlx::query("delete from results where id = $1").bind(id).execute(&mut *tx).await?;
                }
                _ => {
                    arrivals.push(arrival);
                    continue;
                }
            }
            add_run(&mut tx, &run).await?;
            arrivals.push(arrival);
        }
        if keep(&arrivals) {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(arrivals)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scores::tests::stored;
    use super::*;
    use virboard_core::catalogue::Catalogue;
    use virboard_core::run::{Epoch, Probe};

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("virboard.db"), &Catalogue::builtin()).await.expect("opened");
        (folder, store)
    }

    #[tokio::test]
    async fn what_comes_again_is_told_from_what_says_something_else() {
        let (_folder, store) = store().await;
        let first = stored("Pets", 0, 0.5, "{\"lr\":1}");
        let mut newer = stored("Pets", 0, 0.6, "{\"lr\":1}");
        newer.score.evidence.finished_at = 2;
        let take = async |run: &Run, replace, keep: bool| {
            let mut arrivals = store.take_in(std::slice::from_ref(run), replace, |_| keep).await.expect("taken");
            arrivals.pop().expect("one")
        };
        assert_eq!(take(&first, Replace::Never, false).await, Arrival::Added);
        assert!(store.all_scores().await.expect("read").is_empty(), "it was only asked");
        assert_eq!(take(&first, Replace::Never, true).await, Arrival::Added);
        let revision = store.revision().await.expect("read");
        for replace in [Replace::Never, Replace::Newer, Replace::Always] {
            assert_eq!(take(&first, replace, true).await, Arrival::Unchanged);
        }
        assert_eq!(store.revision().await.expect("read"), revision, "nothing was touched");
        assert!(matches!(take(&newer, Replace::Never, true).await, Arrival::Conflict(old) if old.value == 0.5));
        assert!(matches!(take(&newer, Replace::Newer, true).await, Arrival::Replaced(old) if old.value == 0.5));
        assert!(matches!(take(&first, Replace::Newer, true).await, Arrival::Conflict(old) if old.value == 0.6));
        assert!(matches!(take(&first, Replace::Always, true).await, Arrival::Replaced(old) if old.value == 0.6));
        let now: Vec<f64> = store.all_scores().await.expect("read").iter().map(|s| s.value).collect();
        let former: Vec<f64> = store.former_scores().await.expect("read").iter().map(|f| f.score.value).collect();
        assert_eq!((now, former), (vec![0.5], vec![0.5, 0.6]), "what was replaced is found in its order");
        let by_neighbours = |run: &Run| {
            let mut run = run.clone();
            run.score.evidence.probe = Probe::Knn;
            run
        };
        assert_eq!(take(&by_neighbours(&first), Replace::Never, true).await, Arrival::Added, "another probe");
    }

    #[tokio::test]
    async fn a_curve_that_comes_later_completes_its_score() {
        let (_folder, store) = store().await;
        let plain = stored("Pets", 0, 0.5, "{}");
        let mut full = plain.clone();
        full.epochs = vec![Epoch { epoch: 1, train_loss: 0.7, test_metric: None }];
        full.score.head = "heads/SWAV_800/Pets.safetensors".to_owned();
        for (run, wanted) in [
            (&plain, Arrival::Added),
            (&full, Arrival::Completed),
            (&full, Arrival::Unchanged),
            (&plain, Arrival::Unchanged),
        ] {
            let arrivals = store.take_in(std::slice::from_ref(run), Replace::Never, |_| true).await.expect("taken");
            assert_eq!(arrivals, [wanted]);
        }
        let scores = store.all_scores().await.expect("read");
        assert_eq!((scores.len(), scores[0].head.as_str()), (1, "heads/SWAV_800/Pets.safetensors"));
        let epochs = store.epochs_of(scores[0].run.expect("a run")).await.expect("read");
        assert_eq!(epochs.len(), 1);
        assert!(store.former_scores().await.expect("read").is_empty(), "nothing was contradicted");
    }
}
