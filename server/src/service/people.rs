//! People: who asks, users, sessions and tokens.
//!
//! A session and a token are the same thing, a secret of which the database keeps a hash; whoever shows it is an
//! [`Actor`], and what an actor may do is asked where the work is done, so that pages, the REST interface and server
//! functions cannot differ.

mod actor;
mod limits;
mod passwords;
mod secrets;
mod sessions;
mod tokens;
mod users;

pub use actor::{Actor, Origin};
pub use limits::household;
pub use secrets::Secret;
pub use tokens::NewToken;
pub use users::NewUser;

use super::error::Result;
use crate::store::audit::Entry;
use crate::store::{Store, now};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use virboard_core::people::Role;

/// Longest name, in bytes.
const LONGEST_NAME: usize = 40;
/// Seconds without use after which a session ends.
const IDLE: i64 = 7 * DAY;
/// Seconds after which a session ends in any case.
pub const SESSION: i64 = 30 * DAY;
/// Seconds in which the first admin has to be made by a link.
const LINK: i64 = DAY;
const DAY: i64 = 24 * 3600;
/// Seconds between two notes that a credential is in use.
const NOTED: i64 = 60;

/// What is known of people: cheap to clone.
#[derive(Clone)]
pub struct People(Arc<Inner>);

struct Inner {
    store: Store,
    passwords: passwords::Passwords,
    limits: limits::Limits,
    /// Whether there were users when it was asked last: once there are, there always are.
    any: AtomicBool,
}

impl People {
    /// Those of a database.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Inner {
            store,
            passwords: passwords::Passwords::default(),
            limits: limits::Limits::default(),
            any: AtomicBool::new(false),
        }))
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    /// Whether there are users, be they disabled. Without any, a server that listens to its own machine alone lets
    /// whoever sits there do everything, and another one waits for its first admin.
    pub async fn any(&self) -> Result<bool> {
        if self.0.any.load(Ordering::Acquire) {
            return Ok(true);
        }
        let any = self.store().has_users().await?;
        self.0.any.store(any, Ordering::Release);
        Ok(any)
    }

    /// Who asks, with a secret or without. What is no secret of anybody is the same as none. `local` says that the
    /// request comes from the machine itself and from nowhere else.
    pub async fn actor(&self, secret: Option<&str>, origin: Origin, local: bool) -> Result<Actor> {
        if local && !self.any().await? {
            return Ok(Actor::local(origin));
        }
        let Some(secret) = secret else { return Ok(Actor::nobody(origin)) };
        let Some(holder) = self.store().holder(&secrets::hash(secret), IDLE).await? else {
            return Ok(Actor::nobody(origin));
        };
        let credential = &holder.credential;
        if !self.store().is_read_only() && now() - credential.seen_at >= NOTED {
            self.store().seen(&credential.hash, &origin.ip(), &origin.agent).await?;
        }
        Ok(Actor::of(holder, origin))
    }

    /// The same person a while later, with what they may do by then.
    pub async fn again(&self, actor: &Actor) -> Result<Actor> {
        let origin = actor.origin().clone();
        match actor.hash() {
            Some(hash) => {
                let holder = self.store().holder(hash, IDLE).await?;
                Ok(holder.map_or_else(|| Actor::nobody(origin.clone()), |holder| Actor::of(holder, origin.clone())))
            }
            // Whoever sits at the machine does everything only until there are users.
            None if self.any().await? => Ok(Actor::nobody(origin)),
            None => Ok(actor.clone()),
        }
    }

    /// Notes a change that has no transaction of its own here, such as that of a job.
    pub async fn note(&self, entry: &Entry) -> Result<()> {
        Ok(self.store().note(entry).await?)
    }

    /// The latest changes, the newest first, for admins.
    pub async fn audit(&self, actor: &Actor, most: u32) -> Result<Vec<Entry>> {
        actor.needs(Role::Admin)?;
        Ok(self.store().audit(most).await?)
    }
}
