//! All runs, as a team looks at them: a line of filters, a table with any column, groups with
//! seeds folded into one line, the grid of encoders and tasks, and what runs have in common.
//!
//! The server keeps [`Runs`] in memory and answers a [`View`], which is the query of the page's
//! address, with a [`Listing`] or a [`Grid`]. Nothing here reads or writes anything.

mod column;
mod facet;
mod filter;
mod grid;
mod group;
mod listing;
mod matching;
mod moment;
mod row;
mod runs;
mod value;
mod view;

pub use column::{Column, KNOWN, Kind, Reading, alias};
pub use facet::{FACETS, Facet, facets, terms};
pub use filter::{Filter, FilterError, Operator, Pattern, Term};
pub use grid::{Grid, GridCell};
pub use group::{Cell, Line, SEEDS};
pub use listing::{Listing, PAGE};
pub use moment::{date_of, moment_of};
pub use row::{RunRow, State};
pub use runs::Runs;
pub use value::Value;
pub use view::{NAMED, Named, Shade, Shape, View};
