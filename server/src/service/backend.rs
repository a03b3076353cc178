//! The app's view of the server.

use super::predictions::Question;
use super::{ServiceError, Virboard};
use virboard_app::api::{Backend, BoxFuture, Content, Overview, SamplePhoto};
use virboard_app::content::Address;
use virboard_core::prediction::Predictions;

/// The sentence for people; what is ours to mend goes to the log.
fn sentence(error: ServiceError) -> String {
    if let ServiceError::Internal(cause) = &error {
        tracing::error!(%cause, "a page could not be answered");
    }
    error.to_string()
}

impl Backend for Virboard {
    fn overview(&self) -> BoxFuture<Result<Overview, String>> {
        let app = self.clone();
        Box::pin(async move { Virboard::overview(&app).await.map_err(sentence) })
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
        let question = Question { encoders: vec![encoder], second, ..Question::default() };
        Box::pin(async move { app.predict_stored(&image, question).await.map_err(sentence) })
    }

    fn content(&self, path: String, query: String) -> BoxFuture<Result<Content, String>> {
        let app = self.clone();
        Box::pin(async move {
            let content = Virboard::content(&app, Address::new(&path, &query)).await.map_err(sentence)?;
            Ok((*content).clone())
        })
    }
}
