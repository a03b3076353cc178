//! The app's view of the server.

use super::people::Actor;
use super::predictions::Question;
use super::{Result, ServiceError, Virboard};
use virboard_app::api::{Backend, BoxFuture, Content, Overview, SamplePhoto};
use virboard_app::content::{Address, Personal, Said, is_personal, personal};
use virboard_core::people::Role;
use virboard_core::prediction::Predictions;

/// The server as somebody sees it, for one request.
#[derive(Clone)]
pub struct Visit {
    /// What they ask.
    pub app: Virboard,
    /// Who asks.
    pub actor: Actor,
    /// What came of the form that they have sent with this request.
    pub said: Option<Said>,
}

/// The sentence for people; what is ours to mend goes to the log.
fn sentence(error: ServiceError) -> String {
    if let ServiceError::Internal(cause) = &error {
        tracing::error!(%cause, "a page could not be answered");
    }
    error.to_string()
}

impl Visit {
    /// What pages about the visitor show. It is never kept.
    async fn personal(&self) -> Result<Personal> {
        let (people, actor) = (self.app.people(), &self.actor);
        let is = |role| actor.needs(role).is_ok();
        let users = if is(Role::Admin) { people.users(actor).await? } else { Vec::new() };
        let tokens = match actor.role() {
            Some(Role::Admin) => people.all_tokens(actor).await?,
            Some(_) => people.tokens(actor).await?,
            None => Vec::new(),
        };
        Ok(Personal { person: actor.person(), said: self.said.clone(), users, tokens })
    }
}

impl Backend for Visit {
    fn overview(&self) -> BoxFuture<std::result::Result<Overview, String>> {
        let app = self.app.clone();
        Box::pin(async move { Virboard::overview(&app).await.map_err(sentence) })
    }

    fn samples(&self) -> BoxFuture<std::result::Result<Vec<SamplePhoto>, String>> {
        let photos = self.app.photos();
        Box::pin(async move { Ok(photos) })
    }

    fn predictions(
        &self,
        image: String,
        second: Option<String>,
        encoder: String,
    ) -> BoxFuture<std::result::Result<Predictions, String>> {
        let app = self.app.clone();
        let question = Question { encoders: vec![encoder], second, ..Question::default() };
        Box::pin(async move { app.predict_stored(&image, question).await.map_err(sentence) })
    }

    fn content(&self, path: String, query: String) -> BoxFuture<std::result::Result<Content, String>> {
        let visit = self.clone();
        Box::pin(async move {
            let address = Address::new(&path, &query);
            // Pages about a person stand beside those that are kept for everybody.
            if is_personal(&address) {
                let facts = visit.personal().await.map_err(sentence)?;
                return Ok(personal(&address, &facts));
            }
            let content = Virboard::content(&visit.app, address).await.map_err(sentence)?;
            Ok((*content).clone())
        })
    }
}
