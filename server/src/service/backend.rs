//! The app's view of the server.

use super::people::Actor;
use super::predictions::Question;
use super::{Result, ServiceError, Virboard};
use crate::store::now;
use virboard_app::api::{Backend, BoxFuture, Content, Overview, SamplePhoto};
use virboard_app::content::queue::{self, Launch, Queue};
use virboard_app::content::{Address, Personal, Said, Subject, is_personal, personal, subject};
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
    async fn personal(&self, address: &Address) -> Result<Personal> {
        let (people, actor) = (self.app.people(), &self.actor);
        let is = |role| actor.needs(role).is_ok();
        let users = if is(Role::Admin) { people.users(actor).await? } else { Vec::new() };
        let tokens = match actor.role() {
            Some(Role::Admin) => people.all_tokens(actor).await?,
            Some(_) => people.tokens(actor).await?,
            None => Vec::new(),
        };
        let path = address.path.trim_end_matches('/');
        let queue = if path == "/queue" && is(Role::Viewer) { Some(self.queue().await?) } else { None };
        let launch = if path == "/launch" && is(Role::Member) { Some(self.launch(address).await?) } else { None };
        Ok(Personal { person: actor.person(), said: self.said.clone(), users, tokens, queue, launch })
    }

    async fn queue(&self) -> Result<Queue> {
        let (app, actor) = (&self.app, &self.actor);
        Ok(Queue { jobs: app.jobs(actor).await?, workers: app.workers(actor).await?, now: now() })
    }

    /// The form of new evaluations, with the plan of what the address asks for.
    async fn launch(&self, address: &Address) -> Result<Launch> {
        let grid = queue::grid(address);
        let asked = address.get("encoders").is_some() || address.get("tasks").is_some();
        let plan = if asked { Some(self.app.plan_grid(&self.actor, &grid).await.map_err(sentence)) } else { None };
        Ok(Launch { board: self.app.board().await?, plan })
    }
}

impl Visit {
    /// The way to sign in, and from there to a page.
    async fn sign_in_first(&self, address: &Address) -> Result<Content> {
        let sign_in = Address::new("/sign-in", &format!("back={}", address.path));
        Ok(personal(&sign_in, &self.personal(&sign_in).await?))
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
                let facts = visit.personal(&address).await.map_err(sentence)?;
                return Ok(personal(&address, &facts));
            }
            // Runs are no page for everybody, and are never kept among those.
            if subject(&address) == Subject::Runs {
                return match visit.app.runs_page(&visit.actor, address.clone()).await {
                    Err(ServiceError::SignIn) => visit.sign_in_first(&address).await.map_err(sentence),
                    page => page.map_err(sentence),
                };
            }
            let content = Virboard::content(&visit.app, address).await.map_err(sentence)?;
            Ok((*content).clone())
        })
    }
}
