//! Who is connected how often.

use super::Limits;
use crate::service::people::household;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The connections of the moment.
#[derive(Debug)]
pub(super) struct Crowd {
    limits: Limits,
    present: Mutex<Present>,
}

#[derive(Debug, Default)]
struct Present {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Crowd {
    /// Nobody so far.
    pub fn new(limits: Limits) -> Self {
        Self { limits, present: Mutex::default() }
    }

    /// A place for one more connection from an address, unless all are taken.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = household(address);
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let here = present.by_address.get(&address).copied().unwrap_or_default();
        if present.all >= self.limits.connections || here >= self.limits.per_address {
            return None;
        }
        present.all += 1;
        present.by_address.insert(address, here + 1);
        Some(Place { crowd: self.clone(), address })
    }

    fn leave(&self, address: IpAddr) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.all = present.all.saturating_sub(1);
        if let Some(here) = present.by_address.get_mut(&address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                present.by_address.remove(&address);
            }
        }
    }
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.leave(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places() {
        let crowd = Arc::new(Crowd::new(Limits { connections: 3, per_address: 2, ..Limits::default() }));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = [crowd.enter(ip("10.0.0.1")), crowd.enter(ip("::ffff:10.0.0.1"))];
        assert!(first.iter().all(Option::is_some));
        assert!(crowd.enter(ip("10.0.0.1")).is_none(), "one address has two places");
        let third = crowd.enter(ip("2001:db8::1"));
        assert!(third.is_some() && crowd.enter(ip("10.0.0.2")).is_none(), "all are taken");
        drop(first);
        assert!(crowd.enter(ip("10.0.0.1")).is_some(), "who has left makes room");
        let second = crowd.enter(ip("2001:db8::ffff:2"));
        assert!(second.is_some() && crowd.enter(ip("2001:db8::3")).is_none(), "a network counts as one");
    }
}
