//! People who use a server: roles, and what is shown of users and their tokens.

use serde::{Deserialize, Serialize};

/// What somebody may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads runs and jobs.
    Viewer,
    /// Starts jobs, and changes what is their own.
    Member,
    /// Changes everything, users too.
    Admin,
}

impl Role {
    /// All, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Member, Self::Admin];

    /// `viewer`, `member` or `admin`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// Who asks, as far as pages show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their name; empty where nobody has signed in.
    pub name: String,
    /// What they may do; nothing where nobody has signed in.
    pub role: Option<Role>,
    /// Whether they are a user with an account, and not whoever sits at a machine without users.
    pub user: bool,
}

/// A user, without the hash of their password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their name, in small letters; unique.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they cannot sign in at present.
    pub disabled: bool,
    /// Whether they have a password; without one, they have tokens alone.
    pub password: bool,
    /// Seconds since 1970.
    pub created_at: i64,
}

/// A token of a user, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// How its secret begins: enough to know it by, not to use it.
    pub prefix: String,
    /// What it is for.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// The most that it may do.
    pub role: Role,
    /// Seconds since 1970.
    pub created_at: i64,
    /// When it was used last, in seconds since 1970, to the minute.
    pub seen_at: i64,
    /// When it ends, in seconds since 1970; never, if there is none.
    pub expires_at: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        assert!(Role::Viewer < Role::Member && Role::Member < Role::Admin);
        for role in Role::ALL {
            assert_eq!(Role::of(role.name()), Some(role));
        }
        assert_eq!(Role::of("Admin"), None);
    }
}
