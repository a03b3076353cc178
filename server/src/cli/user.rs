//! `virboard user`: users of the server, by whoever owns its files.

use super::Failure;
use crate::service::Settings;
use crate::service::people::{Actor, NewToken, NewUser, People};
use clap::{Args, Subcommand};
use std::io::Read;
use virboard_core::people::Role;
use virboard_core::words::day;

/// Options of the command.
#[derive(Debug, Args)]
pub struct UserCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a user; the first has to be an admin
    Add {
        /// Letters a to z, digits and ._@-
        name: String,
        /// What they may do: viewer, member or admin
        #[arg(long, value_parser = role, default_value = "viewer")]
        role: Role,
        /// Read their password from the first line of standard input; without one they have tokens alone
        #[arg(long)]
        password_stdin: bool,
    },
    /// List users
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Change what a user may do; their sessions end
    Role {
        /// Their name
        name: String,
        /// viewer, member or admin
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Set a user's password from the first line of standard input; their sessions end
    Password {
        /// Their name
        name: String,
    },
    /// Keep a user out; their sessions and tokens end at once
    Disable {
        /// Their name
        name: String,
    },
    /// Let a user in again
    Enable {
        /// Their name
        name: String,
    },
    /// Make a token for a user's program and print it, this once
    Token {
        /// Whose it is
        user: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// The most that it may do; by default as much as the user
        #[arg(long, value_parser = role, default_value = "admin")]
        role: Role,
        /// Days that it is good for; without end, if left out
        #[arg(long)]
        days: Option<u32>,
    },
    /// Revoke a token by how it begins
    Revoke {
        /// Its first twelve characters, as the account page shows them
        prefix: String,
    },
}

fn role(name: &str) -> Result<Role, String> {
    Role::of(name).ok_or_else(|| "choose from viewer, member and admin".to_owned())
}

/// Most bytes of a password that are read.
const MOST: u64 = 1024;

/// The first line of standard input.
fn password() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().take(MOST).read_to_string(&mut text).map_err(|e| format!("the password cannot be read: {e}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

impl UserCommand {
    /// Does what is asked.
    pub async fn run(self, settings: Settings) -> Result<(), Failure> {
        let store = settings.store().await?;
        let (people, actor) = (People::new(store.clone()), Actor::command_line());
        match self.what {
            What::Add { name, role, password_stdin } => {
                let password = if password_stdin { Some(password()?) } else { None };
                let user = people.add_user(&actor, NewUser { name, role, password }).await?;
                println!("{} is added as {}.", user.name, user.role.name());
            }
            What::List { json: true } => println!("{}", serde_json::to_string(&people.users(&actor).await?)?),
            What::List { json: false } => {
                for user in people.users(&actor).await? {
                    let state = if user.disabled { "disabled" } else { "" };
                    println!("{:<24} {:<8} {} {state}", user.name, user.role.name(), day(user.created_at));
                }
            }
            What::Role { name, role } => people.change_role(&actor, &name, role).await?,
            What::Password { name } => people.reset_password(&actor, &name, password()?).await?,
            What::Disable { name } => people.disable(&actor, &name, true).await?,
            What::Enable { name } => people.disable(&actor, &name, false).await?,
            What::Token { user, name, role, days } => {
                let secret = people.add_token_of(&actor, &user, NewToken { label: name, role, days }).await?;
                println!("{}", secret.text());
            }
            What::Revoke { prefix } => people.revoke(&actor, &prefix).await?,
        }
        store.close().await;
        Ok(())
    }
}
