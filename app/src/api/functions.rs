//! The server functions: each asks the [`super::Backend`].
#![allow(missing_docs, reason = "the macro makes a struct of each function's arguments")]

#[cfg(feature = "ssr")]
use super::backend;
use super::{Content, Overview, SamplePhoto};
use leptos::prelude::*;
use leptos::server_fn::codec::Json;
use virboard_core::prediction::Predictions;

/// The leaderboard's numbers and availability.
#[server(prefix = "/rpc", input = Json)]
pub async fn load_overview() -> Result<Overview, ServerFnError> {
    backend()?.overview().await.map_err(ServerFnError::new)
}

/// Photographs that one can try.
#[server(prefix = "/rpc", input = Json)]
pub async fn load_samples() -> Result<Vec<SamplePhoto>, ServerFnError> {
    backend()?.samples().await.map_err(ServerFnError::new)
}

/// Predictions of an encoder for a stored image, and for the motion to a second one.
#[server(prefix = "/rpc", input = Json)]
pub async fn load_predictions(
    image: String,
    second: Option<String>,
    encoder: String,
) -> Result<Predictions, ServerFnError> {
    backend()?.predictions(image, second, encoder).await.map_err(ServerFnError::new)
}

/// The content of a page that is only read.
#[server(prefix = "/rpc", input = Json)]
pub async fn load_content(path: String, query: String) -> Result<Content, ServerFnError> {
    backend()?.content(path, query).await.map_err(ServerFnError::new)
}
