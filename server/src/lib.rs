//! The server and command line of Virboard.

pub mod cli;
pub mod http;
pub mod service;
pub mod store;
pub mod table;

/// Version of the program, with the commit that it was built from where that is known.
pub const VERSION: &str = env!("VIRBOARD_VERSION");
