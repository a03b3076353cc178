//! What commands that work have before them: the database, the queue, and a worker of their own.

use super::Failure;
use crate::service::Settings;
use crate::service::engine::{Card, Engine};
use crate::service::worker::{Presence, Worker};
use crate::service::working::card;
use crate::store::Store;
use tokio::runtime::Handle;
use virboard_lab::progress::Progress;
use virboard_lab::work::Lab;

/// Name of the person at the command line.
pub fn person() -> String {
    let named = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    named("USER").or_else(|| named("LOGNAME")).unwrap_or_else(|| "the command line".to_owned())
}

/// A command's place in the queue. Close it, or it is listed for a minute more.
pub struct Desk {
    /// The database.
    pub store: Store,
    /// The queue.
    pub engine: Engine,
    card: Card,
    person: String,
    runtime: Handle,
    presence: Presence,
}

impl Desk {
    /// Opens the data folder's queue and makes the command known there.
    pub async fn open(settings: &Settings) -> Result<Self, Failure> {
        let store = settings.store().await?;
        let engine = settings.engine(&store);
        // Its own jobs are taken by name.
        let card = card(None, &settings.device, Vec::new());
        let presence = Presence::begin(&engine, &card).await?;
        Ok(Self { store, engine, card, person: person(), runtime: Handle::current(), presence })
    }

    /// The command's worker.
    pub fn worker<'a>(&'a self, lab: &'a Lab, progress: &'a dyn Progress) -> Worker<'a> {
        let Self { store, engine, card, person, runtime, .. } = self;
        Worker { lab, store, runtime, progress, engine, card, person: Some(person) }
    }

    /// Leaves the queue.
    pub async fn close(&self) {
        self.presence.end().await;
    }
}
