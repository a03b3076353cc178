//! Tokens of programs.

use super::sessions::fresh;
use super::{Actor, DAY, People, Secret};
use crate::service::error::{Result, ServiceError};
use crate::store::now;
use crate::store::people::{Account, Change, Credential, Kind};
use virboard_core::people::{Role, Token};

/// Longest label, in characters.
const LONGEST_LABEL: usize = 60;
/// Most days that a token may be good for.
const MOST_DAYS: u32 = 3650;

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for.
    pub label: String,
    /// The most that it may do.
    pub role: Role,
    /// Days that it is good for; without end, if none.
    pub days: Option<u32>,
}

impl People {
    /// Makes a token of one's own, up to one's own role. The secret is shown this once.
    pub async fn add_token(&self, actor: &Actor, new: NewToken) -> Result<Secret> {
        actor.needs(Role::Viewer)?;
        actor.needs(new.role)?;
        if actor.user().is_none() {
            return Err(ServiceError::Request(
                "Tokens belong to users, and this server has none. Add one first.".to_owned(),
            ));
        }
        let own = self.store().account(actor.name()).await?.ok_or(ServiceError::SignIn)?;
        self.make(actor, &own, new).await
    }

    /// Makes a token of another user, up to their role, as an admin.
    pub async fn add_token_of(&self, actor: &Actor, user: &str, new: NewToken) -> Result<Secret> {
        actor.needs(Role::Admin)?;
        let found = self.store().account(&user.trim().to_lowercase()).await?;
        let account = found.ok_or(ServiceError::NotFound("There is no user of this name."))?;
        if account.user.disabled {
            return Err(ServiceError::Conflict(format!("{} is disabled.", account.user.name)));
        }
        self.make(actor, &account, new).await
    }

    async fn make(&self, actor: &Actor, account: &Account, new: NewToken) -> Result<Secret> {
        let label = new.label.trim();
        let length = label.chars().count();
        if length == 0 || length > LONGEST_LABEL || label.chars().any(char::is_control) {
            return Err(ServiceError::Request(format!(
                "Say in 1 to {LONGEST_LABEL} characters what the token is for, such as “laptop”."
            )));
        }
        if new.days.is_some_and(|days| days == 0 || days > MOST_DAYS) {
            return Err(ServiceError::Request(format!("A token is good for 1 to {MOST_DAYS} days, or without end.")));
        }
        let secret = Secret::new(Kind::Token)?;
        let credential = Credential {
            user: Some(account.id),
            name: label.to_owned(),
            role: new.role.min(account.user.role),
            expires_at: new.days.map(|days| now() + i64::from(days) * DAY),
            ..fresh(&secret, Kind::Token)
        };
        let mut entry = actor.entry("token.add", &account.user.name);
        entry.after = format!("{} {} ({label})", secret.prefix(), credential.role.name());
        self.store().add_credential(&credential, &entry).await?;
        Ok(secret)
    }

    /// One's own tokens; without an account there are none.
    pub async fn tokens(&self, actor: &Actor) -> Result<Vec<Token>> {
        actor.needs(Role::Viewer)?;
        match actor.user() {
            Some(user) => Ok(self.store().tokens(Some(user)).await?),
            None => Ok(Vec::new()),
        }
    }

    /// All tokens, for admins.
    pub async fn all_tokens(&self, actor: &Actor) -> Result<Vec<Token>> {
        actor.needs(Role::Admin)?;
        Ok(self.store().tokens(None).await?)
    }

    /// Revokes the token that begins like this: one's own, or anybody's as an admin. It is good no longer, at once.
    pub async fn revoke(&self, actor: &Actor, prefix: &str) -> Result<()> {
        actor.needs(Role::Viewer)?;
        let whose = match actor.needs(Role::Admin) {
            Ok(()) => None,
            Err(refused) => Some(actor.user().ok_or(refused)?),
        };
        match self.store().revoke(prefix, whose, &actor.entry("token.revoke", prefix)).await? {
            Change::Done => Ok(()),
            _ => Err(ServiceError::NotFound("There is no token that begins like this.")),
        }
    }
}
