//! How often somebody may try to sign in.

use crate::service::error::{Result, ServiceError};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tries a minute for one name from one address.
const OF_NAME: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// Tries a minute from one address.
const OF_ADDRESS: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// After this time, those who have not tried lately are forgotten.
const CLEANED: Duration = Duration::from_mins(1);

/// The tries of the last minutes.
pub struct Limits {
    by_name: DefaultKeyedRateLimiter<(Option<IpAddr>, String)>,
    by_address: DefaultKeyedRateLimiter<Option<IpAddr>>,
    cleaned: Mutex<Instant>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            by_name: RateLimiter::keyed(Quota::per_minute(OF_NAME)),
            by_address: RateLimiter::keyed(Quota::per_minute(OF_ADDRESS)),
            cleaned: Mutex::new(Instant::now()),
        }
    }
}

impl Limits {
    /// Counts a try to be the user `name` from an address, unless there were too many.
    pub fn check(&self, address: Option<IpAddr>, name: &str) -> Result<()> {
        self.clean();
        let address = address.map(household);
        let of_address = self.by_address.check_key(&address);
        // A name that nobody can have is none of its own.
        let name = if name.len() > super::LONGEST_NAME { "" } else { name };
        let refused = of_address.and_then(|()| self.by_name.check_key(&(address, name.to_owned())));
        refused.map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            ServiceError::TooManyTries(wait.as_secs() + 1)
        })
    }

    fn clean(&self) {
        let mut cleaned = self.cleaned.lock().unwrap_or_else(PoisonError::into_inner);
        if cleaned.elapsed() > CLEANED {
            *cleaned = Instant::now();
            drop(cleaned);
            self.by_name.retain_recent();
            self.by_address.retain_recent();
        }
    }
}

/// What is counted as one: everybody has a network of 64 bits of IPv6 addresses.
#[must_use]
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_name_has_five_tries_from_an_address_and_an_address_twenty() {
        let limits = Limits::default();
        let here = Some(address("10.0.0.1"));
        for _ in 0..5 {
            limits.check(here, "anna").expect("a try");
        }
        let Err(ServiceError::TooManyTries(seconds)) = limits.check(here, "anna") else { panic!("a sixth try") };
        assert!((1..=13).contains(&seconds), "{seconds}");
        limits.check(Some(address("10.0.0.2")), "anna").expect("anna herself is elsewhere");
        let others = (0..20).filter(|i| limits.check(here, &format!("other{i}")).is_ok()).count();
        assert_eq!(others, 14, "twenty with the six before");
        assert!(limits.check(Some(address("::ffff:10.0.0.1")), "other").is_err(), "the same address in another form");
    }

    #[test]
    fn a_network_is_one_address() {
        let limits = Limits::default();
        let tries = (0..10).filter(|i| limits.check(Some(address(&format!("2001:db8::{i}"))), "anna").is_ok()).count();
        assert_eq!(tries, 5);
    }
}
