//! Status lists.

pub mod bitstring;
