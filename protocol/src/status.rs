//! Status lists: our own, their deltas, and the field's.

pub mod bitstring;
pub mod delta;
pub mod native;
