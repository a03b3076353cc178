//! Users: added, listed, changed.

use super::{Actor, LONGEST_NAME, People, Secret, passwords};
use crate::service::error::{Result, ServiceError};
use crate::store::people::{Account, Change};
use virboard_core::people::{Role, User};

/// A user to add.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Letters, digits and `._@-`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Their password; without one they have tokens alone.
    pub password: Option<String>,
}

/// A name as it is kept; refuses one that is none.
pub(super) fn name_of(written: &str) -> Result<String> {
    let name = written.trim().to_lowercase();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fits) {
        return Err(ServiceError::Request(format!(
            "A name has 1 to {LONGEST_NAME} of the letters a to z, digits, and any of `._@-`."
        )));
    }
    Ok(name)
}

/// What came of a change, as an answer.
fn answer(change: Change, name: &str) -> Result<()> {
    match change {
        Change::Done => Ok(()),
        Change::Taken => Err(ServiceError::Conflict(format!("There is a user called “{name}” already."))),
        Change::NoAdmin => {
            Err(ServiceError::Conflict("The server would have no admin then. Make an admin first.".into()))
        }
        Change::Gone => Err(ServiceError::NotFound("There is no user of this name.")),
    }
}

impl People {
    /// A user as it is to be kept.
    pub(super) async fn new_account(&self, new: NewUser) -> Result<Account> {
        let name = name_of(&new.name)?;
        let password = match new.password {
            Some(password) => Some(self.hashed(password, &name).await?),
            None => None,
        };
        let user = User { name, role: new.role, disabled: false, password: password.is_some(), created_at: 0 };
        Ok(Account { id: 0, user, password })
    }

    async fn hashed(&self, password: String, name: &str) -> Result<String> {
        passwords::check(&password, name)?;
        self.0.passwords.hash(password).await
    }

    async fn account(&self, name: &str) -> Result<Account> {
        let found = self.store().account(&name.trim().to_lowercase()).await?;
        found.ok_or(ServiceError::NotFound("There is no user of this name."))
    }

    /// All users, for admins.
    pub async fn users(&self, actor: &Actor) -> Result<Vec<User>> {
        actor.needs(Role::Admin)?;
        Ok(self.store().accounts().await?.into_iter().map(|a| a.user).collect())
    }

    /// Adds a user. The first has to be an admin.
    pub async fn add_user(&self, actor: &Actor, new: NewUser) -> Result<User> {
        actor.needs(Role::Admin)?;
        let account = self.new_account(new).await?;
        let mut entry = actor.entry("user.add", &account.user.name);
        account.user.role.name().clone_into(&mut entry.after);
        answer(self.store().add_account(&account, &entry).await?, &account.user.name)?;
        Ok(self.account(&account.user.name).await?.user)
    }

    /// Changes what a user may do. Their sessions end; tokens never do more than their user.
    pub async fn change_role(&self, actor: &Actor, name: &str, role: Role) -> Result<()> {
        actor.needs(Role::Admin)?;
        let mut account = self.account(name).await?;
        let mut entry = actor.entry("user.role", &account.user.name);
        account.user.role.name().clone_into(&mut entry.before);
        role.name().clone_into(&mut entry.after);
        account.user.role = role;
        answer(self.store().change_account(&account, &entry).await?, name)
    }

    /// Disables a user, whose sessions and tokens end at once, or lets them in again.
    pub async fn disable(&self, actor: &Actor, name: &str, disabled: bool) -> Result<()> {
        actor.needs(Role::Admin)?;
        let mut account = self.account(name).await?;
        let entry = actor.entry(if disabled { "user.disable" } else { "user.enable" }, &account.user.name);
        account.user.disabled = disabled;
        answer(self.store().change_account(&account, &entry).await?, name)
    }

    /// Gives a user another password, as an admin. Their sessions end.
    pub async fn reset_password(&self, actor: &Actor, name: &str, password: String) -> Result<()> {
        actor.needs(Role::Admin)?;
        let mut account = self.account(name).await?;
        account.password = Some(self.hashed(password, &account.user.name).await?);
        let entry = actor.entry("user.password", &account.user.name);
        answer(self.store().change_account(&account, &entry).await?, name)
    }

    /// Changes one's own password, for which the present one has to be known. All sessions end; gives a new one.
    pub async fn change_password(&self, actor: &Actor, present: String, new: String) -> Result<Secret> {
        actor.needs(Role::Viewer)?;
        // A token may be read by others; it is no reason to let them take over the user.
        if actor.session().is_none() {
            return Err(ServiceError::Request("Sign in with your password to change it.".to_owned()));
        }
        self.0.limits.check(actor.origin().address, actor.name())?;
        let mut account = self.account(actor.name()).await?;
        if !self.0.passwords.verify(present, account.password.take()).await? {
            return Err(ServiceError::WrongPassword);
        }
        account.password = Some(self.hashed(new, &account.user.name).await?);
        let entry = actor.entry("user.password", &account.user.name);
        answer(self.store().change_account(&account, &entry).await?, actor.name())?;
        self.begin(&account, actor.origin()).await
    }
}
