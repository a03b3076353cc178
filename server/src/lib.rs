//! The server and command line of Virboard.

pub mod cli;
pub mod http;
pub mod service;
pub mod store;
