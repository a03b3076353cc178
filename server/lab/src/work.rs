//! Work: what takes minutes, a file a kind.

pub mod cka;
pub mod encode;
pub mod evaluate;
