//! The leaderboard: its numbers, what a reader asked to see of them, and in which order.
//!
//! The server builds a [`Sheet`] a suite; server and browser alike order and show it by a
//! [`View`], which is the query of the page's address.

mod advice;
mod extract;
mod order;
mod quote;
mod seen;
mod sheet;
mod spread;
mod view;

pub use advice::{Advice, Candidate, FEWEST, MOST, Wish, Withheld};
pub use extract::{Extract, Value};
pub use order::Page;
pub use quote::Quote;
pub use seen::seen;
pub use sheet::{Column, Place, Row, Sheet};
pub use spread::Spread;
pub(crate) use view::encoded;
use view::safe;
pub use view::{Show, View};
