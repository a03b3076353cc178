//! Who asks for something.

use crate::service::error::{Result, ServiceError};
use crate::store::audit::Entry;
use crate::store::now;
use crate::store::people::{Holder, Kind};
use std::net::IpAddr;
use virboard_core::people::{Person, Role};

/// Where a request comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The address, where it is known.
    pub address: Option<IpAddr>,
    /// What sends it, in its own words.
    pub agent: String,
}

impl Origin {
    /// The address as text; empty where it is not known.
    #[must_use]
    pub fn ip(&self) -> String {
        self.address.map(|a| a.to_canonical().to_string()).unwrap_or_default()
    }
}

/// The credential that an actor has shown.
#[derive(Debug, Clone)]
struct Shown {
    user: i64,
    hash: String,
    prefix: String,
    kind: Kind,
}

/// Who asks for something, and what they may do. Every function that changes something takes one and begins with
/// [`Actor::needs`]; only this module makes any.
#[derive(Debug, Clone)]
pub struct Actor {
    name: String,
    role: Option<Role>,
    shown: Option<Shown>,
    origin: Origin,
}

impl Actor {
    /// Somebody who has not signed in.
    #[must_use]
    pub fn nobody(origin: Origin) -> Self {
        Self { name: "nobody".to_owned(), role: None, shown: None, origin }
    }

    /// Whoever sits at a machine whose server listens to it alone and has no users.
    pub(super) fn local(origin: Origin) -> Self {
        Self { name: "local".to_owned(), role: Some(Role::Admin), shown: None, origin }
    }

    /// Whoever runs a command: they own the files.
    pub(crate) fn command_line() -> Self {
        Self { name: "command line".to_owned(), role: Some(Role::Admin), shown: None, origin: Origin::default() }
    }

    /// Who holds a credential. A token may do no more than was said when it was made.
    pub(super) fn of(holder: Holder, origin: Origin) -> Self {
        let Holder { credential, account } = holder;
        let role = account.user.role.min(credential.role);
        let shown = Shown { user: account.id, hash: credential.hash, prefix: credential.prefix, kind: credential.kind };
        Self { name: account.user.name, role: Some(role), shown: Some(shown), origin }
    }

    /// What others know them by; it is written beside what they change.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they may do; nothing where nobody has signed in.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Refuses whoever has less than a role, and says whether signing in would help.
    pub fn needs(&self, least: Role) -> Result<()> {
        match self.role {
            Some(role) if role >= least => Ok(()),
            Some(_) => Err(ServiceError::NotAllowed(least)),
            None => Err(ServiceError::SignIn),
        }
    }

    /// Whether they may change what belongs to the user `owner`: their own as members, everything as admins.
    pub fn needs_own(&self, owner: &str) -> Result<()> {
        self.needs(if self.name == owner { Role::Member } else { Role::Admin })
    }

    /// What pages show of them.
    #[must_use]
    pub fn person(&self) -> Person {
        let name = if self.role.is_some() { self.name.clone() } else { String::new() };
        Person { name, role: self.role, user: self.shown.is_some() }
    }

    /// Where they are.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Number of the user, if it is one.
    pub(super) fn user(&self) -> Option<i64> {
        self.shown.as_ref().map(|s| s.user)
    }

    /// Hash of the credential that they have shown.
    pub(super) fn hash(&self) -> Option<&str> {
        self.shown.as_ref().map(|s| s.hash.as_str())
    }

    /// Hash of the session by which they are signed in.
    pub(super) fn session(&self) -> Option<&str> {
        self.shown.as_ref().filter(|s| s.kind == Kind::Session).map(|s| s.hash.as_str())
    }

    /// A change of theirs for the audit: what was done to what.
    #[must_use]
    pub fn entry(&self, action: &str, object: &str) -> Entry {
        Entry {
            id: 0,
            at: now(),
            user: self.name.clone(),
            credential: self.shown.as_ref().map(|s| s.prefix.clone()).unwrap_or_default(),
            action: action.to_owned(),
            object: object.to_owned(),
            before: String::new(),
            after: String::new(),
            ip: self.origin.ip(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needing_more_than_one_has_says_whether_signing_in_would_help() {
        let nobody = Actor::nobody(Origin::default());
        assert!(matches!(nobody.needs(Role::Viewer), Err(ServiceError::SignIn)));
        let member = Actor { name: "anna".to_owned(), role: Some(Role::Member), ..nobody.clone() };
        assert!(member.needs(Role::Viewer).is_ok() && member.needs(Role::Member).is_ok());
        assert!(matches!(member.needs(Role::Admin), Err(ServiceError::NotAllowed(Role::Admin))));
        assert!(member.needs_own("anna").is_ok() && member.needs_own("bert").is_err());
        let viewer = Actor { role: Some(Role::Viewer), ..member };
        assert!(viewer.needs_own("anna").is_err(), "viewers change nothing");
        assert!(Actor::local(Origin::default()).needs_own("bert").is_ok());
        assert!(nobody.person().name.is_empty(), "a page shows nobody's name");
    }
}
