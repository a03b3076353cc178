//! Secrets that the server makes: 32 random bytes, of which it keeps a hash.

use crate::service::error::{Result, ServiceError};
use crate::store::people::Kind;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use virboard_nn::files::sha256;

/// Characters of a prefix: the kind's four, and eight by which people tell theirs apart.
const PREFIX: usize = 12;

/// A secret, which is shown once. It has no `Debug`, so that it reaches no log by accident.
pub struct Secret(String);

impl Secret {
    /// A new one. How it begins says what it is, so that programs that search for secrets find it.
    pub fn new(kind: Kind) -> Result<Self> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| ServiceError::internal(e.to_string()))?;
        let begin = match kind {
            Kind::Session => "vbs_",
            Kind::Token => "vbt_",
            Kind::Link => "vbl_",
        };
        Ok(Self(format!("{begin}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The secret itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// How it begins.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX]
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

/// What is kept of a secret. It has 256 random bits, so that a hash without salt and quickly computed suffices.
#[must_use]
pub fn hash(secret: &str) -> String {
    sha256(secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike_and_each_says_what_it_is() {
        let mut seen = std::collections::HashSet::new();
        for (kind, begin) in [(Kind::Session, "vbs_"), (Kind::Token, "vbt_"), (Kind::Link, "vbl_")] {
            for _ in 0..100 {
                let secret = Secret::new(kind).expect("random bytes");
                assert_eq!((secret.text().len(), secret.prefix().len()), (4 + 43, PREFIX));
                assert!(secret.text().starts_with(secret.prefix()) && secret.prefix().starts_with(begin));
                assert!(!secret.hash().contains(&secret.text()[4..]), "the hash tells nothing");
                assert!(seen.insert(secret.hash()));
            }
        }
    }
}
