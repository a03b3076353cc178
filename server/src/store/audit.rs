//! Who changed what.

use super::{Result, Store};
use serde::Serialize;
use sqlx::{FromRow, SqliteConnection};

/// A change, and who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Entry {
    /// Number; 0 of one that is not kept yet.
    pub id: i64,
    /// Seconds since 1970.
    pub at: i64,
    /// Name of who made it.
    pub user: String,
    /// Prefix of the credential; empty for the command line and a machine without users.
    pub credential: String,
    /// What was done, such as `user.add`.
    pub action: String,
    /// To what.
    pub object: String,
    /// What it was before.
    pub before: String,
    /// What it is now.
    pub after: String,
    /// From which address.
    pub ip: String,
}

impl Store {
    /// Notes a change that is made elsewhere.
    pub async fn note(&self, entry: &Entry) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        note(&mut connection, entry).await
    }

    /// The latest changes, the newest first.
    pub async fn audit(&self, most: u32) -> Result<Vec<Entry>> {
        let latest = sqlx::query_as("select * from audit order by id desc limit $1").bind(most);
        Ok(latest.fetch_all(&self.pool).await?)
    }
}

/// Notes a change along with it, in its transaction.
pub(super) async fn note(connection: &mut SqliteConnection, entry: &Entry) -> Result<()> {
    sqlx::query(
        "insert into audit (at, user, credential, action, object, before, after, ip)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(entry.at)
    .bind(&entry.user)
    .bind(&entry.credential)
    .bind(&entry.action)
    .bind(&entry.object)
    .bind(&entry.before)
    .bind(&entry.after)
    .bind(&entry.ip)
    .execute(connection)
    .await?;
    Ok(())
}
