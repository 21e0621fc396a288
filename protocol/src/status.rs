//! Status lists.

pub mod bitstring;
//! Status lists: our own, their deltas, and the field's.

pub mod delta;
pub mod native;
