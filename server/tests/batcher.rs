//! The device's queue: pictures are grouped, pictures of callers who left cost nothing, and a
//! full queue refuses at once.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use virboard::service::ServiceError;
use virboard::service::batcher::Batcher;
use virboard::service::heads::Heads;

const ENCODER: &str = "EfficientNetLite0";

fn batcher(capacity: usize) -> Batcher {
    let data = tempfile::tempdir().expect("a folder");
    let settings = common::settings(data.path());
    let registry = Arc::new(settings.registry().expect("it opens"));
    let heads = Arc::new(Heads::new(vec![settings.samples.join("heads")], registry.clone()));
    Batcher::start(registry, heads, capacity).expect("a thread")
}

fn tasks() -> Vec<String> {
    vec!["Imagenet".to_owned()]
}

fn input() -> Vec<Vec<f32>> {
    vec![vec![0.1; 3 * 224 * 224]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_pictures_share_passes() {
    let batcher = batcher(64);
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.predict(ENCODER, tasks(), input()).await.map(|a| a.outputs.len()) })
        })
        .collect();
    for answer in waiting {
        assert_eq!(answer.await.expect("no panic").expect("answered"), 1);
    }
    let (batches, pictures) = (&batcher.computed().batches, &batcher.computed().pictures);
    assert_eq!(pictures.load(Ordering::Relaxed), 16);
    assert!(batches.load(Ordering::Relaxed) <= 8, "16 pictures in {batches:?} passes");
}

#[tokio::test]
async fn pictures_of_callers_who_left_cost_nothing() {
    let batcher = batcher(64);
    // While the device loads the encoder for the first picture, ten others come and go.
    let others: Vec<_> = (0..10).map(|_| Box::pin(batcher.predict(ENCODER, tasks(), input()))).collect();
    let first = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.predict("OpenNsfw", vec!["SamplePhotos".to_owned()], input()).await.is_ok() }
    });
    tokio::task::yield_now().await;
    for mut other in others {
        // Polled once, so that it stands in the queue, then dropped.
        assert!(futures::poll!(&mut other).is_pending());
        drop(other);
    }
    assert!(first.await.expect("no panic"));
    let last = batcher.predict(ENCODER, tasks(), input()).await;
    assert!(last.is_ok());
    assert_eq!(batcher.computed().pictures.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let batcher = batcher(1);
    let mut busy = 0;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut waiting = Box::pin(batcher.predict(ENCODER, tasks(), input()));
        match futures::poll!(&mut waiting) {
            std::task::Poll::Ready(Err(ServiceError::Busy)) => busy += 1,
            _ => kept.push(waiting),
        }
    }
    assert!(busy > 10, "{busy} of 20 were refused");
    for waiting in kept {
        assert!(waiting.await.is_ok(), "who was let in is answered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_picture_fails_alone_and_everyone_is_told_the_own_reason() {
    let batcher = batcher(64);
    let ask = |input: Vec<Vec<f32>>, tasks: Vec<String>| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.predict(ENCODER, tasks, input).await.map(|a| a.outputs.len()) })
    };
    // All wait while the device loads the encoder, so that they are taken together.
    let good: Vec<_> = (0..3).map(|_| ask(input(), tasks())).collect();
    let bad = ask(vec![vec![0.1; 17]], tasks());
    let headless: Vec<_> = (0..2).map(|_| ask(input(), vec!["NYUDepth".to_owned()])).collect();
    for answer in good {
        assert_eq!(answer.await.expect("no panic").expect("answered"), 1);
    }
    assert!(matches!(bad.await.expect("no panic"), Err(ServiceError::Internal(_))), "its own fault");
    for answer in headless {
        let error = answer.await.expect("no panic").expect_err("there is no such head");
        assert!(matches!(&error, ServiceError::NoHead { task, .. } if task == "NYUDepth"), "{error}");
    }
    assert!(batcher.is_alive());
}
