//! Status lists: what an issuer says about its credentials by index (`specs/status.md`).

pub mod delta;
pub mod native;
