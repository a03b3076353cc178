//! Bodies of requests that stand still or drip are ended: photos wait in memory while they arrive.

use super::{Limits, stalled};
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt, stream};
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Answers a request whose body has to come at a pace.
pub(super) async fn keep(limits: Limits, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let gave_up = Arc::new(AtomicBool::new(false));
    let seen = gave_up.clone();
    let request = request.map(|body| Body::from_stream(paced(body.into_data_stream(), limits, gave_up)));
    let response = next.run(request).await;
    // The handler has seen a form that was cut off.
    if seen.load(Ordering::Acquire) { stalled(&path) } else { response }
}

/// The chunks of a body, until none comes for too long or too few have come.
fn paced(chunks: BodyDataStream, limits: Limits, gave_up: Arc<AtomicBool>) -> impl Stream<Item = Result<Bytes>> {
    let begun = Instant::now();
    stream::try_unfold((chunks, 0u64), move |(mut chunks, arrived)| {
        let gave_up = gave_up.clone();
        async move {
            let next = tokio::time::timeout(limits.silence, chunks.next()).await;
            let allowed = limits.silence + Duration::from_secs_f64(arrived as f64 / f64::from(limits.slowest.max(1)));
            match next {
                Ok(None) => Ok(None),
                Ok(Some(chunk)) if begun.elapsed() <= allowed => {
                    let chunk = chunk.map_err(Error::other)?;
                    let arrived = arrived + chunk.len() as u64;
                    Ok(Some((chunk, (chunks, arrived))))
                }
                _ => {
                    gave_up.store(true, Ordering::Release);
                    Err(Error::from(ErrorKind::TimedOut))
                }
            }
        }
    })
}
