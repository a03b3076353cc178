//! The ViRB benchmark as plain data and statistics.
//!
//! No I/O, no neural networks and no web in here: this crate compiles natively and
//! to WebAssembly, so that the leaderboard can be recomputed in the browser.
//!
//! Source of all facts: Kotar et al., *Contrasting Contrastive Self-Supervised
//! Representation Learning Pipelines*, ICCV 2021 (arXiv 2103.14005), and ViRB.

pub mod analysis;
pub mod catalogue;
pub mod explorer;
pub mod leaderboard;
pub mod people;
pub mod prediction;
pub mod protocol;
pub mod queue;
pub mod run;
pub mod sorting;
pub mod statistics;
pub mod unread;
pub mod words;
