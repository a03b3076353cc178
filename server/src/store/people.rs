//! Users, and what they prove themselves with.

use super::audit::{Entry, note};
use super::{Result, Store, StoreError, now};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use virboard_core::people::{Role, Token, User};

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a browser.
    Session,
    /// Of a program.
    Token,
    /// By which the first admin is made.
    Link,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Session, Self::Token, Self::Link];

    /// Its name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
            Self::Link => "link",
        }
    }
}

/// A user with what only the server may know.
#[derive(Debug, Clone)]
pub struct Account {
    /// Number in the database; 0 of one that is not in it yet.
    pub id: i64,
    /// What others may know.
    pub user: User,
    /// Hash of the password, as a PHC string.
    pub password: Option<String>,
}

/// A credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// SHA-256 of its secret.
    pub hash: String,
    /// Number of its user; none of a link.
    pub user: Option<i64>,
    /// What it is.
    pub kind: Kind,
    /// What it is for.
    pub name: String,
    /// The most that it may do.
    pub role: Role,
    /// How its secret begins.
    pub prefix: String,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it was used last.
    pub seen_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// Where it was used last.
    pub ip: String,
    /// What used it last, in its own words.
    pub agent: String,
}

/// Who holds a credential.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The credential.
    pub credential: Credential,
    /// The user.
    pub account: Account,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is done.
    Done,
    /// Somebody has this name already.
    Taken,
    /// It would leave no admin, and nothing was changed.
    NoAdmin,
    /// What was to be changed is not there.
    Gone,
}

fn role_of(row: &SqliteRow, column: &'static str) -> Result<Role> {
    Role::of(row.try_get(column)?).ok_or(StoreError::Column(column))
}

fn account_of(row: &SqliteRow) -> Result<Account> {
    let password: Option<String> = row.try_get("password")?;
    let user = User {
        name: row.try_get("user_name")?,
        role: role_of(row, "user_role")?,
        disabled: row.try_get("disabled")?,
        password: password.is_some(),
        created_at: row.try_get("joined_at")?,
    };
    Ok(Account { id: row.try_get("id")?, user, password })
}

const ACCOUNT: &str = "users.id, users.name as user_name, users.password, users.role as user_role, users.disabled,
    users.created_at as joined_at";

impl Store {
    /// Whether there are users, be they disabled.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(sqlx::query_scalar("select exists (select 1 from users)").fetch_one(&self.pool).await?)
    }

    /// A user by name.
    pub async fn account(&self, name: &str) -> Result<Option<Account>> {
        let sql = format!("select {ACCOUNT} from users where name = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).fetch_optional(&self.pool).await?;
        row.as_ref().map(account_of).transpose()
    }

    /// All users by name.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let sql = format!("select {ACCOUNT} from users order by name");
        sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?.iter().map(account_of).collect()
    }

    /// Adds a user.
    pub async fn add_account(&self, account: &Account, entry: &Entry) -> Result<Change> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let change = insert_account(&mut tx, account).await?;
        if change == Change::Done {
            note(&mut tx, entry).await?;
            tx.commit().await?;
        }
        Ok(change)
    }

    /// Makes the first admin by a link that is good at present, and uses it up.
    pub async fn add_first(&self, link: &str, account: &Account, entry: &Entry) -> Result<Change> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let spent = sqlx::query(
            "delete from credentials where kind = 'link' and hash = $1 and expires_at > $2
             and not exists (select 1 from users)",
        )
        .bind(link)
        .bind(now())
        .execute(&mut *tx)
        .await?;
        if spent.rows_affected() == 0 {
            return Ok(Change::Gone);
        }
        let change = insert_account(&mut tx, account).await?;
        if change == Change::Done {
            sqlx::query("delete from credentials where kind = 'link'").execute(&mut *tx).await?;
            note(&mut tx, entry).await?;
            tx.commit().await?;
        }
        Ok(change)
    }

    /// Changes role, password and whether a user is disabled. Their sessions end, and of a disabled one all credentials.
    pub async fn change_account(&self, account: &Account, entry: &Entry) -> Result<Change> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let changed = sqlx::query("update users set password = $2, role = $3, disabled = $4 where id = $1")
            .bind(account.id)
            .bind(&account.password)
            .bind(account.user.role.name())
            .bind(account.user.disabled)
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() == 0 {
            return Ok(Change::Gone);
        }
        if !has_admin(&mut tx).await? {
            return Ok(Change::NoAdmin);
        }
        sqlx::query("delete from credentials where user = $1 and (kind = 'session' or $2)")
            .bind(account.id)
            .bind(account.user.disabled)
            .execute(&mut *tx)
            .await?;
        note(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Change::Done)
    }

    /// Adds a credential, and removes those whose time is over. A new link takes the place of former ones.
    pub async fn add_credential(&self, new: &Credential, entry: &Entry) -> Result<()> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        sqlx::query("delete from credentials where expires_at <= $1 or (kind = 'link' and $2)")
            .bind(now())
            .bind(new.kind == Kind::Link)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into credentials (hash, user, kind, name, role, prefix, created_at, seen_at, expires_at, ip, agent)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&new.hash)
        .bind(new.user)
        .bind(new.kind.name())
        .bind(&new.name)
        .bind(new.role.name())
        .bind(&new.prefix)
        .bind(new.created_at)
        .bind(new.seen_at)
        .bind(new.expires_at)
        .bind(&new.ip)
        .bind(&new.agent)
        .execute(&mut *tx)
        .await?;
        note(&mut tx, entry).await?;
        Ok(tx.commit().await?)
    }

    /// Who holds the credential with this hash. Nobody does if its time is over, if a session was not used for `idle`
    /// seconds, or if the user is disabled.
    pub async fn holder(&self, hash: &str, idle: i64) -> Result<Option<Holder>> {
        let sql = format!(
            "select credentials.*, {ACCOUNT} from credentials join users on users.id = credentials.user
             where hash = $1 and disabled = 0 and (expires_at is null or expires_at > $2)
             and (kind = 'token' or (kind = 'session' and seen_at > $2 - $3))"
        );
        let row =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(hash).bind(now()).bind(idle).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let kind: &str = row.try_get("kind")?;
        let credential = Credential {
            hash: row.try_get("hash")?,
            user: row.try_get("user")?,
            kind: Kind::ALL.into_iter().find(|k| k.name() == kind).ok_or(StoreError::Column("kind"))?,
            name: row.try_get("name")?,
            role: role_of(&row, "role")?,
            prefix: row.try_get("prefix")?,
            created_at: row.try_get("created_at")?,
            seen_at: row.try_get("seen_at")?,
            expires_at: row.try_get("expires_at")?,
            ip: row.try_get("ip")?,
            agent: row.try_get("agent")?,
        };
        Ok(Some(Holder { credential, account: account_of(&row)? }))
    }

    /// Notes that a credential was used.
    pub async fn seen(&self, hash: &str, ip: &str, agent: &str) -> Result<()> {
        sqlx::query("update credentials set seen_at = $2, ip = $3, agent = $4 where hash = $1")
            .bind(hash)
            .bind(now())
            .bind(ip)
            .bind(agent)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends a session by its hash.
    pub async fn end_session(&self, hash: &str, entry: &Entry) -> Result<()> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        sqlx::query("delete from credentials where kind = 'session' and hash = $1")
            .bind(hash)
            .execute(&mut *tx)
            .await?;
        note(&mut tx, entry).await?;
        Ok(tx.commit().await?)
    }

    /// Tokens of a user, or of all of them, the newest first.
    pub async fn tokens(&self, user: Option<i64>) -> Result<Vec<Token>> {
        let rows = sqlx::query(
            "select credentials.*, users.name as user_name from credentials join users on users.id = credentials.user
             where kind = 'token' and ($1 is null or user = $1) and (expires_at is null or expires_at > $2)
             order by credentials.created_at desc, prefix",
        )
        .bind(user)
        .bind(now())
        .fetch_all(&self.pool)
        .await?;
        let token = |row: &SqliteRow| {
            Ok(Token {
                prefix: row.try_get("prefix")?,
                name: row.try_get("name")?,
                user: row.try_get("user_name")?,
                role: role_of(row, "role")?,
                created_at: row.try_get("created_at")?,
                seen_at: row.try_get("seen_at")?,
                expires_at: row.try_get("expires_at")?,
            })
        };
        rows.iter().map(token).collect()
    }

    /// Revokes the token that begins like this, of a user or of anybody.
    pub async fn revoke(&self, prefix: &str, user: Option<i64>, entry: &Entry) -> Result<Change> {
        let mut tx = self.pool.begin_with("begin immediate").await?;
        let gone =
            sqlx::query("delete from credentials where kind = 'token' and prefix = $1 and ($2 is null or user = $2)")
                .bind(prefix)
                .bind(user)
                .execute(&mut *tx)
                .await?;
        if gone.rows_affected() == 0 {
            return Ok(Change::Gone);
        }
        note(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(Change::Done)
    }
}

/// Inserts a user; `NoAdmin` if there would be none, upon which the transaction is to be dropped.
async fn insert_account(tx: &mut SqliteConnection, account: &Account) -> Result<Change> {
    let added = sqlx::query(
        "insert into users (name, password, role, disabled, created_at) values ($1, $2, $3, $4, $5)
         on conflict (name) do nothing",
    )
    .bind(&account.user.name)
    .bind(&account.password)
    .bind(account.user.role.name())
    .bind(account.user.disabled)
    .bind(now())
    .execute(&mut *tx)
    .await?;
    Ok(match added.rows_affected() {
        0 => Change::Taken,
        _ if has_admin(tx).await? => Change::Done,
        _ => Change::NoAdmin,
    })
}

async fn has_admin(tx: &mut SqliteConnection) -> Result<bool> {
    let sql = "select exists (select 1 from users where role = 'admin' and disabled = 0)";
    Ok(sqlx::query_scalar(sql).fetch_one(tx).await?)
}
