//! Credentials: read strictly, with their proofs.

pub mod jcs;
pub mod json;
