//! Passwords: which are taken, and their hashes by argon2id.

use crate::service::error::{Result, ServiceError};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::sync::OnceLock;
use tokio::sync::Semaphore;

/// Fewest characters.
pub const SHORTEST: usize = 12;
/// Most characters.
const LONGEST: usize = 128;
/// Fewest characters that differ.
const DIFFERENT: usize = 5;
/// Passwords of this length or more that everybody tries.
const COMMON: [&str; 16] = [
    "123456789012",
    "1234567890123",
    "123456789abc",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "administrator",
    "changemechangeme",
    "iloveyou1234",
    "letmeinletmein",
    "password1234",
    "password12345",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "qwertyuiop123",
    "qwertyuiopasdf",
];

/// Refuses a password that is easily guessed.
pub fn check(password: &str, name: &str) -> Result<()> {
    let length = password.chars().count();
    let small = password.to_lowercase();
    let different = small.chars().collect::<std::collections::HashSet<_>>().len();
    let why = if length < SHORTEST {
        format!("The password has {length} characters; take {SHORTEST} or more, such as four words.")
    } else if length > LONGEST {
        format!("The password has {length} characters; take {LONGEST} at most.")
    } else if different < DIFFERENT || COMMON.contains(&small.as_str()) {
        "Many others have this password, and it is tried first. Take another, such as four words.".to_owned()
    } else if small.contains(name) && length < SHORTEST + name.chars().count() {
        "Much of the password is the name. Take another, such as four words.".to_owned()
    } else {
        return Ok(());
    };
    Err(ServiceError::Request(why))
}

/// Where passwords are hashed: each takes 19 MiB and tens of milliseconds, so that two are at a time.
pub struct Passwords {
    lane: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { lane: Semaphore::new(2) }
    }
}

impl Passwords {
    /// The hash of a password, as a PHC string. Its defaults are those that OWASP recommends.
    pub async fn hash(&self, password: String) -> Result<String> {
        let _place = self.lane.acquire().await.map_err(ServiceError::internal)?;
        let hashed = tokio::task::spawn_blocking(move || hashed(&password)).await?;
        hashed.map_err(|e| ServiceError::internal(e.to_string()))
    }

    /// Whether a password is the one of a hash. Without a hash it is not, after the same work.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let _place = self.lane.acquire().await.map_err(ServiceError::internal)?;
        let verify = move || {
            if let Some(hash) = hash {
                verified(&password, &hash)
            } else {
                std::hint::black_box(nobodys().map(|hash| verified(&password, hash)));
                false
            }
        };
        Ok(tokio::task::spawn_blocking(verify).await?)
    }
}

fn hashed(password: &str) -> argon2::password_hash::Result<String> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

fn verified(password: &str, hash: &str) -> bool {
    PasswordVerifier::<str>::verify_password(&Argon2::default(), password.as_bytes(), hash).is_ok()
}

/// The hash that names without a user are compared with.
fn nobodys() -> Option<&'static str> {
    static HASH: OnceLock<Option<String>> = OnceLock::new();
    HASH.get_or_init(|| hashed("nobody has this password").ok()).as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".to_owned()).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse battery".to_owned()).await.expect("hashed"), "salted");
        for (password, kept, right) in [
            ("correct horse battery", Some(hash.clone()), true),
            ("correct horse batterY", Some(hash), false),
            ("correct horse battery", Some("no hash".to_owned()), false),
            ("nobody has this password", None, false),
        ] {
            assert_eq!(passwords.verify(password.to_owned(), kept).await.expect("verified"), right, "{password}");
        }
    }

    #[test]
    fn what_is_easily_guessed_is_refused() {
        for (password, fine) in [
            ("short words", false),
            ("Password1234", false),
            ("aaaaaaaaaaaabbb", false),
            ("christina-123", false),
            ("four plain words here", true),
            ("çàéïõü çàéïõü", true),
        ] {
            assert_eq!(check(password, "christina").is_ok(), fine, "{password}");
        }
        assert!(check(&"long words ".repeat(12), "anna").is_err(), "too long to hash at leisure");
    }
}
