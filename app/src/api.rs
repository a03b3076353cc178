//! What pages ask the server for. The functions here are thin: the server hands in a
//! [`Backend`] that does the work.

mod carried;
mod functions;

pub use carried::Carried;
pub use functions::{load_content, load_overview, load_predictions, load_samples};

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use virboard_core::leaderboard::Sheet;
#[cfg(feature = "ssr")]
use virboard_core::prediction::Predictions;

/// What is here of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncoderState {
    /// Key in the catalogue.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// Whether it can be run.
    pub weights: bool,
    /// Keys of the tasks for which there is a head.
    pub heads: Vec<String>,
}

/// A photograph that one can try without having one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplePhoto {
    /// SHA-256 of the file: its name in addresses.
    pub sha256: String,
    /// What it shows.
    pub title: String,
    /// Author and licence.
    pub credit: String,
    /// SHA-256 of a second photograph of the same, a moment later, if there is one.
    pub second: Option<String>,
    /// Whether it is no photograph but a rendered scene.
    #[serde(default, skip_serializing)]
    pub rendered: bool,
    /// Address of a small version.
    pub thumbnail: String,
}

/// The leaderboard's numbers and what can be run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// A sheet a suite, first the one that has more to show.
    pub sheets: Vec<Sheet>,
    /// What is here of each encoder.
    pub encoders: Vec<EncoderState>,
}

impl Overview {
    /// What an encoder is called.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        self.encoders.iter().find(|e| e.key == key).map_or_else(|| key.to_owned(), |e| e.name.clone())
    }
}

/// A page that is only read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its title.
    pub title: String,
    /// What is in it.
    pub html: String,
    /// Whether there is such a page.
    pub found: bool,
}

/// Version of the program that answers.
#[derive(Debug, Clone, Copy)]
pub struct Version(pub &'static str);

/// Tells the server that there is nothing at the asked address.
#[derive(Clone)]
pub struct Missing(pub std::sync::Arc<dyn Fn() + Send + Sync>);

/// The server's side of the pages.
#[cfg(feature = "ssr")]
pub trait Backend: Send + Sync {
    /// The leaderboard's numbers and availability.
    fn overview(&self) -> BoxFuture<Result<Overview, String>>;
    /// Photographs that one can try.
    fn samples(&self) -> BoxFuture<Result<Vec<SamplePhoto>, String>>;
    /// Predictions of an encoder for a stored image, and for the motion to a second one; a
    /// sentence for people on failure.
    fn predictions(
        &self,
        image: String,
        second: Option<String>,
        encoder: String,
    ) -> BoxFuture<Result<Predictions, String>>;
    /// The content of the page at a path, with a query.
    fn content(&self, path: String, query: String) -> BoxFuture<Result<Content, String>>;
}

/// A future that owns everything.
#[cfg(feature = "ssr")]
pub type BoxFuture<T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send>>;

#[cfg(feature = "ssr")]
fn backend() -> Result<std::sync::Arc<dyn Backend>, ServerFnError> {
    use_context::<std::sync::Arc<dyn Backend>>().ok_or_else(|| ServerFnError::new("the server has no backend"))
}

/// The sentence inside a server function's error.
#[must_use]
pub fn sentence(error: &ServerFnError) -> String {
    match error {
        ServerFnError::ServerError(message) => message.clone(),
        _ => "The server did not answer. Check the connection and try again.".to_owned(),
    }
}
