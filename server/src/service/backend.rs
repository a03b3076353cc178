//! The app's view of the server.

use super::{ServiceError, Virboard};
use virboard_app::api::{Backend, Board, BoxFuture, EpochPoint, Opinion, RunDetail, SamplePhoto};
use virboard_core::prediction::Predictions;
use virboard_core::results::ResultCell;

/// The sentence for people; what is ours to mend goes to the log.
fn sentence(error: ServiceError) -> String {
    if let ServiceError::Internal(cause) = &error {
        tracing::error!(%cause, "a page could not be answered");
    }
    error.to_string()
}

impl Backend for Virboard {
    fn board(&self) -> BoxFuture<Result<Board, String>> {
        let app = self.clone();
        Box::pin(async move { Virboard::board(&app).await.map_err(sentence) })
    }

    fn samples(&self) -> BoxFuture<Result<Vec<SamplePhoto>, String>> {
        let photos = self.photos();
        Box::pin(async move { Ok(photos) })
    }

    fn predictions(
        &self,
        image: String,
        second: Option<String>,
        encoder: String,
    ) -> BoxFuture<Result<Predictions, String>> {
        let app = self.clone();
        Box::pin(async move { app.predict_stored(&image, second.as_deref(), &[encoder], &[]).await.map_err(sentence) })
    }

    fn run(&self, encoder: String, task: String) -> BoxFuture<Result<RunDetail, String>> {
        let app = self.clone();
        Box::pin(async move {
            let epochs = app.store.epochs(&encoder, &task).await.map_err(|e| sentence(e.into()))?;
            let point = |e: crate::store::Epoch| EpochPoint {
                epoch: e.epoch,
                train_loss: e.train_loss,
                test_metric: e.test_metric,
            };
            let opinions = app.store.opinions(&encoder, &task).await.map_err(|e| sentence(e.into()))?;
            let opinion = |r: ResultCell| Opinion { probe: r.provenance.probe, score: r.score };
            Ok(RunDetail {
                epochs: epochs.into_iter().map(point).collect(),
                opinions: opinions.into_iter().map(opinion).collect(),
            })
        })
    }
}
