//! What a queue of jobs promises, whatever stands behind it: each test runs on every engine that `benches` gives.

mod bench;

use bench::{LEASE, NOTHING, asked, benches, named, run, work, worker};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use virboard::service::engine::{ANY, Asked, Beat, Card, Outcome, pool_of};
use virboard::service::jobs::{self, JobsError};
use virboard::store::{JobState, Offered};
use virboard_lab::work::Job;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_jobs_go_once_each_however_many_ask() {
    for bench in benches().await {
        let all: Vec<Job> = (0..50).map(work).collect();
        bench.engine.offer(&all, &asked(ANY, 0)).await.expect("offered");
        let claimer = |number: u32| {
            let engine = bench.engine.clone();
            tokio::spawn(async move {
                let (card, mut had) = (worker(&format!("w{number}")), Vec::new());
                while let Some(lease) = engine.claim(&card).await.expect("asked") {
                    had.push((lease.row.name, lease.row.attempt));
                }
                had
            })
        };
        let had = join_all((0..16).map(claimer)).await;
        let had: Vec<(String, i64)> = had.into_iter().flat_map(|h| h.expect("it ends")).collect();
        assert_eq!(had.len(), 50);
        assert!(had.iter().all(|(_, attempt)| *attempt == 1));
        let names: BTreeSet<String> = had.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, all.iter().map(Job::name).collect());
    }
}

#[tokio::test]
async fn the_highest_goes_first_then_the_oldest_and_pools_stay_apart() {
    for bench in benches().await {
        for (number, pool, priority) in [(1, ANY, 0), (2, ANY, 0), (3, ANY, 5), (4, "gpu", 9), (5, ANY, -5)] {
            bench.engine.offer(&[work(number)], &asked(pool, priority)).await.expect("offered");
        }
        for number in [3, 1, 2, 5] {
            assert_eq!(bench.claimed("plain").await.row.title, format!("job {number}"));
        }
        assert_eq!(bench.claim("plain").await, None, "it has no such pool");
        let both = Card { pools: vec![ANY.to_owned(), "gpu".to_owned()], ..worker("large") };
        let lease = bench.engine.claim(&both).await.expect("asked").expect("a job");
        assert_eq!((lease.row.title.as_str(), lease.job().expect("read")), ("job 4", work(4)));
    }
}

#[tokio::test]
async fn what_is_offered_twice_is_there_once() {
    for bench in benches().await {
        assert_eq!(bench.offer(1).await, Offered::Queued);
        assert_eq!(bench.offer(1).await, Offered::There(JobState::Queued));
        let lease = bench.claimed("a").await;
        let again = Asked { again: true, ..asked(ANY, 0) };
        let offered = bench.engine.offer(&[work(1)], &again).await.expect("offered");
        assert_eq!(offered, [Offered::There(JobState::Running)], "whoever has it keeps it");
        assert_eq!(bench.claim("b").await, None);
        assert!(bench.engine.finish(&lease, NOTHING).await.expect("told"));
        assert_eq!(bench.offer(1).await, Offered::There(JobState::Finished));
        let offered = bench.engine.offer(&[work(1)], &again).await.expect("offered");
        assert_eq!(offered, [Offered::Queued]);
        assert_eq!(bench.claimed("b").await.row.attempt, 2, "numbers of claims are never used twice");
    }
}

#[tokio::test]
async fn a_dead_workers_job_goes_to_the_next_and_the_dead_cannot_end_it() {
    for bench in benches().await {
        bench.offer(1).await;
        let dead = bench.claimed("dead").await;
        (bench.pass)(LEASE - 5);
        assert_eq!(bench.beat(&dead).await, Beat::Goes);
        (bench.pass)(LEASE - 5);
        assert_eq!(bench.engine.sweep().await.expect("swept"), 0, "it was heard of");
        assert_eq!(bench.claim("next").await, None);
        (bench.pass)(10);
        assert_eq!(bench.engine.sweep().await.expect("swept"), 1);
        let row = bench.row(1).await;
        assert_eq!(row.state, JobState::Queued);
        assert_eq!(row.error.as_deref(), Some("its worker dead has not been heard of for 60 s"));
        let next = bench.claimed("next").await;
        assert_eq!(next.row.attempt, 2);

        assert_eq!(bench.beat(&dead).await, Beat::Lost);
        assert_eq!(bench.engine.look(&dead).await.expect("asked"), Beat::Lost);
        let late = [run("SWAV_800", 0.1)];
        assert!(!bench.engine.finish(&dead, Outcome { begun: &[], runs: &late }).await.expect("told"));
        assert_eq!(bench.fail(&dead, None).await, None);
        assert!(!bench.engine.release(&dead, Duration::ZERO, "late").await.expect("told"));
        assert!(!bench.engine.stopped(&dead, "ann").await.expect("told"));
        assert_eq!(bench.store.all_scores().await.expect("read").len(), 0, "nothing of it is recorded");

        assert_eq!(bench.beat(&next).await, Beat::Goes, "and the other never notices");
        let scores = [run("SWAV_800", 0.5)];
        assert!(bench.engine.finish(&next, Outcome { begun: &[], runs: &scores }).await.expect("told"));
        let row = bench.row(1).await;
        assert_eq!((row.state, row.worker.as_deref(), row.error), (JobState::Finished, Some("next"), None));
        let kept = bench.store.all_scores().await.expect("read");
        assert_eq!(kept.iter().map(|s| s.value).collect::<Vec<_>>(), [0.5]);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_kept_whole_does_not_finish_the_job() {
    for bench in benches().await {
        bench.offer(1).await;
        let lease = bench.claimed("a").await;
        let before = bench.kinds().await;
        let half = [run("SWAV_800", 0.5), run("an encoder that nobody declared", 0.5)];
        assert!(bench.engine.finish(&lease, Outcome { begun: &[], runs: &half }).await.is_err());
        assert_eq!(bench.row(1).await.state, JobState::Running);
        assert_eq!(bench.store.all_scores().await.expect("read").len(), 0);
        assert_eq!(bench.kinds().await, before);
    }
}

#[tokio::test]
async fn what_waits_is_cancelled_at_once() {
    for bench in benches().await {
        bench.offer(1).await;
        bench.offer(2).await;
        let row = jobs::cancel(&bench.engine, &work(1).name(), "bob").await.expect("cancelled");
        assert_eq!(row.state, JobState::Queued, "as it was");
        let row = bench.row(1).await;
        assert_eq!((row.state, row.cancel_by.as_deref()), (JobState::Cancelled, Some("bob")));
        let lease = bench.claimed("a").await;
        assert_eq!(lease.row.title, "job 2");
        assert!(!bench.engine.withdraw(&work(2).name(), "bob").await.expect("told"), "it runs");
        assert_eq!(bench.beat(&lease).await, Beat::Goes);
        let refused = jobs::cancel(&bench.engine, &work(1).name(), "bob").await;
        assert!(matches!(refused, Err(JobsError::Ended { state: JobState::Cancelled, .. })), "{refused:?}");
        assert!(matches!(jobs::cancel(&bench.engine, "nothing", "bob").await, Err(JobsError::Unknown(_))));
    }
}

#[tokio::test]
async fn what_runs_hears_that_it_is_cancelled_and_by_whom() {
    for bench in benches().await {
        for number in [1, 2] {
            bench.offer(number).await;
            let lease = bench.claimed("a").await;
            let was = bench.engine.cancel(&lease.row.name, "bob").await.expect("told");
            assert_eq!(was, Some(JobState::Running));
            assert_eq!(bench.row(number).await.state, JobState::Running, "as long as it does");
            assert_eq!(bench.engine.look(&lease).await.expect("asked"), Beat::Cancel("bob".to_owned()));
            assert_eq!(bench.beat(&lease).await, Beat::Cancel("bob".to_owned()));
            if number == 1 {
                assert!(bench.engine.stopped(&lease, "bob").await.expect("told"));
            } else {
                // Its worker dies before it can stop.
                (bench.pass)(LEASE + 1);
                assert_eq!(bench.engine.sweep().await.expect("swept"), 1);
            }
            let row = bench.row(number).await;
            assert_eq!((row.state, row.error.as_deref()), (JobState::Cancelled, Some("cancelled by bob")));
            assert_eq!(bench.claim("b").await, None);
        }
    }
}

#[tokio::test]
async fn after_three_attempts_a_job_has_failed_and_a_retry_keeps_the_reason() {
    for bench in benches().await {
        bench.offer(1).await;
        for attempt in 1..=2 {
            let lease = bench.claimed("a").await;
            assert_eq!(lease.row.attempt, attempt);
            assert_eq!(bench.fail(&lease, Some(30)).await, Some(JobState::Queued));
            assert_eq!(bench.claim("a").await, None, "not so soon");
            (bench.pass)(31);
        }
        let lease = bench.claimed("a").await;
        assert_eq!(bench.fail(&lease, Some(30)).await, Some(JobState::Failed));
        (bench.pass)(1000);
        assert_eq!(bench.claim("a").await, None);
        let events = bench.engine.events(0, 1000).await.expect("read");
        let last = events.last().expect("an event");
        let said: serde_json::Value = serde_json::from_str(&last.data).expect("JSON");
        assert_eq!((last.kind.as_str(), last.attempt), ("failed", 3));
        assert_eq!(
            (said["reason"].as_str(), said["lines"][0].as_str()),
            (Some("the disk is on fire"), Some("it is warm"))
        );

        jobs::retry(&bench.engine, &work(1).name(), "bob").await.expect("it waits again");
        let row = bench.row(1).await;
        assert_eq!((row.state, row.asked_by.as_str()), (JobState::Queued, "bob"));
        assert_eq!(row.error.as_deref(), Some("the disk is on fire"), "until it has finished");
        let lease = bench.claimed("b").await;
        assert_eq!((lease.row.attempt, lease.row.most_attempts), (4, 6), "three more");
        let refused = jobs::retry(&bench.engine, &work(1).name(), "bob").await;
        assert!(matches!(refused, Err(JobsError::NotFailed { state: JobState::Running, .. })), "{refused:?}");
        assert!(bench.engine.finish(&lease, NOTHING).await.expect("told"));
        assert_eq!(bench.row(1).await.error, None);
    }
}

#[tokio::test]
async fn a_job_that_kills_three_workers_has_failed() {
    for bench in benches().await {
        bench.offer(1).await;
        for _ in 0..3 {
            bench.claimed("victim").await;
            (bench.pass)(LEASE + 1);
            assert_eq!(bench.engine.sweep().await.expect("swept"), 1);
        }
        let row = bench.row(1).await;
        assert_eq!((row.state, row.attempt), (JobState::Failed, 3));
        assert!(row.error.is_some_and(|e| e.contains("has not been heard of")));
    }
}

#[tokio::test]
async fn what_cannot_be_done_fails_at_once() {
    for bench in benches().await {
        bench.offer(1).await;
        let lease = bench.claimed("a").await;
        assert_eq!(bench.fail(&lease, None).await, Some(JobState::Failed));
        assert_eq!(bench.claim("a").await, None);
    }
}

#[tokio::test]
async fn what_is_given_back_goes_to_the_next_at_once_and_costs_no_attempt() {
    for bench in benches().await {
        bench.offer(1).await;
        for attempt in 1..=5 {
            let lease = bench.claimed("preempted").await;
            assert_eq!(lease.row.attempt, attempt);
            assert!(bench.engine.release(&lease, Duration::ZERO, "its worker was asked to stop").await.expect("told"));
            assert_eq!(bench.row(1).await.error.as_deref(), Some("its worker was asked to stop"));
        }
        let lease = bench.claimed("b").await;
        assert!(lease.row.most_attempts - lease.row.attempt >= 2, "as many as before");
        assert!(bench.engine.release(&lease, Duration::from_secs(30), "busy").await.expect("told"));
        assert_eq!(bench.claim("b").await, None, "later");
        (bench.pass)(31);
        bench.claimed("b").await;
    }
}

#[tokio::test]
async fn events_tell_everything_in_order() {
    for bench in benches().await {
        bench.offer(1).await;
        bench.offer(1).await;
        let lease = bench.claimed("a").await;
        bench.engine.release(&lease, Duration::ZERO, "stop").await.expect("told");
        let lease = bench.claimed("a").await;
        bench.fail(&lease, Some(0)).await;
        bench.claimed("a").await;
        (bench.pass)(LEASE + 1);
        bench.engine.sweep().await.expect("swept");
        let lease = bench.claimed("a").await;
        bench.engine.cancel(&lease.row.name, "bob").await.expect("told");
        bench.engine.cancel(&lease.row.name, "bob").await.expect("told");
        bench.engine.stopped(&lease, "bob").await.expect("told");
        jobs::retry(&bench.engine, &lease.row.name, "bob").await.expect("it waits again");
        let lease = bench.claimed("b").await;
        bench.engine.finish(&lease, NOTHING).await.expect("told");
        let kinds = bench.kinds().await;
        let expected = [
            (0, "queued"),
            (1, "claimed"),
            (1, "released"),
            (2, "claimed"),
            (2, "attempt-failed"),
            (3, "claimed"),
            (3, "lost"),
            (4, "claimed"),
            (4, "cancel"),
            (4, "cancelled"),
            (4, "queued"),
            (5, "claimed"),
            (5, "finished"),
        ];
        assert_eq!(named(&kinds), expected);
        let events = bench.engine.events(0, 1000).await.expect("read");
        let after = bench.engine.events(events[3].id, 4).await.expect("read");
        assert_eq!(after, events[4..8], "those after one, and no more than asked for");
    }
}

#[tokio::test]
async fn whoever_holds_the_lock_takes_a_job_from_the_dead() {
    for bench in benches().await {
        bench.offer(1).await;
        let dead = bench.claimed("dead").await;
        let name = work(1).name();
        let taken = bench.engine.take(&name, &worker("here")).await.expect("asked").expect("it runs");
        assert_eq!((taken.row.attempt, taken.row.worker.as_deref()), (2, Some("here")));
        assert_eq!(bench.beat(&dead).await, Beat::Lost);
        assert!(bench.engine.finish(&taken, NOTHING).await.expect("told"));
        assert_eq!(bench.engine.take(&name, &worker("here")).await.expect("asked"), None, "it has ended");
    }
}

#[tokio::test]
async fn a_lock_that_nobody_holds_ends_a_lease_but_not_one_that_has_just_begun() {
    for bench in benches().await {
        bench.offer(1).await;
        bench.claimed("dead").await;
        assert!(!bench.engine.bury(&bench.row(1).await).await.expect("told"), "it may be about to take it");
        (bench.pass)(6);
        assert!(bench.engine.bury(&bench.row(1).await).await.expect("told"));
        let row = bench.row(1).await;
        assert_eq!(
            (row.state, row.error.as_deref()),
            (JobState::Queued, Some("the process of its worker dead has ended"))
        );
    }
}

#[tokio::test]
async fn a_drained_worker_takes_nothing_more() {
    for bench in benches().await {
        bench.offer(1).await;
        bench.engine.seen(&worker("a")).await.expect("told");
        assert!(bench.engine.drain("a", true).await.expect("told"));
        bench.engine.seen(&worker("a")).await.expect("told");
        assert_eq!(bench.claim("a").await, None);
        assert!(bench.engine.drain("a", false).await.expect("told"));
        let lease = bench.claimed("a").await;
        let workers = bench.engine.workers().await.expect("asked");
        assert_eq!((workers.len(), workers[0].job.as_ref()), (1, Some(&lease.row.name)));
        assert!(!bench.engine.drain("nobody", true).await.expect("told"));
        bench.engine.leave("a").await.expect("told");
        assert_eq!(bench.engine.workers().await.expect("asked").len(), 0);
    }
}

#[tokio::test]
async fn what_waits_for_a_worker_that_is_gone_is_cancelled_and_can_be_retried_by_any() {
    for bench in benches().await {
        for (number, name) in [(1, "gone"), (2, "here")] {
            bench.engine.seen(&worker(name)).await.expect("told");
            bench.engine.offer(&[work(number)], &asked(&pool_of(name), 0)).await.expect("offered");
        }
        assert_eq!(bench.claim("any").await, None, "they are left to their own");
        (bench.pass)(LEASE + 1);
        bench.engine.seen(&worker("here")).await.expect("told");
        assert_eq!(bench.engine.sweep().await.expect("swept"), 1);
        assert_eq!(bench.row(2).await.state, JobState::Queued);
        let row = bench.row(1).await;
        assert_eq!((row.state, row.cancel_by), (JobState::Cancelled, None), "by nobody");
        jobs::retry(&bench.engine, &row.name, "bob").await.expect("it waits again");
        assert_eq!(bench.claimed("any").await.row.title, "job 1");
    }
}
