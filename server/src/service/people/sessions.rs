//! Signing in and out, and the link by which the first admin is made.

use super::users::name_of;
use super::{Actor, LINK, NewUser, Origin, People, SESSION, Secret, secrets};
use crate::service::error::{Result, ServiceError};
use crate::store::now;
use crate::store::people::{Account, Change, Credential, Kind};
use std::sync::atomic::Ordering;
use virboard_core::people::Role;

impl People {
    /// Begins a session with a name and a password; the one that the actor had ends. An unknown name, a disabled user
    /// and a wrong password take the same time and give the same answer.
    pub async fn sign_in(&self, actor: &Actor, name: &str, password: String) -> Result<Secret> {
        let name = name.trim().to_lowercase();
        let origin = actor.origin();
        self.0.limits.check(origin.address, &name)?;
        let found = if name_of(&name).is_ok() { self.store().account(&name).await? } else { None };
        let hash = found.as_ref().and_then(|a| a.password.clone());
        let right = self.0.passwords.verify(password, hash).await?;
        let Some(account) = found.filter(|a| right && !a.user.disabled) else {
            tracing::info!(address = origin.ip(), "a sign-in was refused");
            return Err(ServiceError::WrongPassword);
        };
        self.sign_out(actor).await?;
        self.begin(&account, origin).await
    }

    /// Begins a session of somebody who has proved who they are.
    pub(super) async fn begin(&self, account: &Account, origin: &Origin) -> Result<Secret> {
        let secret = Secret::new(Kind::Session)?;
        let credential = Credential {
            user: Some(account.id),
            role: account.user.role,
            expires_at: Some(now() + SESSION),
            ip: origin.ip(),
            agent: origin.agent.clone(),
            ..fresh(&secret, Kind::Session)
        };
        let mut entry = Actor::nobody(origin.clone()).entry("session.begin", &account.user.name);
        entry.user.clone_from(&account.user.name);
        secret.prefix().clone_into(&mut entry.credential);
        self.store().add_credential(&credential, &entry).await?;
        Ok(secret)
    }

    /// Ends the session by which the actor is signed in, if there is one.
    pub async fn sign_out(&self, actor: &Actor) -> Result<()> {
        if let Some(hash) = actor.session() {
            self.store().end_session(hash, &actor.entry("session.end", actor.name())).await?;
        }
        Ok(())
    }

    /// A link by which the first admin is made, once and within a day; a former one is good no longer.
    pub async fn first_link(&self) -> Result<Secret> {
        let secret = Secret::new(Kind::Link)?;
        let credential = Credential { expires_at: Some(now() + LINK), ..fresh(&secret, Kind::Link) };
        let mut entry = Actor::command_line().entry("link.add", "first admin");
        secret.prefix().clone_into(&mut entry.after);
        self.store().add_credential(&credential, &entry).await?;
        Ok(secret)
    }

    /// Makes the first admin by a link, and signs them in.
    pub async fn first_admin(&self, actor: &Actor, link: &str, name: &str, password: String) -> Result<Secret> {
        self.0.limits.check(actor.origin().address, "first admin")?;
        let hash = secrets::hash(link);
        let account = self.new_account(NewUser { name: name.to_owned(), role: Role::Admin, password: Some(password) });
        let account = account.await?;
        let mut entry = actor.entry("user.add", &account.user.name);
        // Whoever opens the link is from then on the admin.
        entry.user.clone_from(&account.user.name);
        Role::Admin.name().clone_into(&mut entry.after);
        match self.store().add_first(&hash, &account, &entry).await? {
            Change::Done => {}
            _ => return Err(ServiceError::LinkSpent),
        }
        self.0.any.store(true, Ordering::Release);
        let added = self.store().account(&account.user.name).await?.ok_or(ServiceError::LinkSpent)?;
        self.begin(&added, actor.origin()).await
    }
}

/// A credential of a secret that nobody has used yet.
pub(super) fn fresh(secret: &Secret, kind: Kind) -> Credential {
    Credential {
        hash: secret.hash(),
        user: None,
        kind,
        name: String::new(),
        role: Role::Admin,
        prefix: secret.prefix().to_owned(),
        created_at: now(),
        seen_at: now(),
        expires_at: None,
        ip: String::new(),
        agent: String::new(),
    }
}
