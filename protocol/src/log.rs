//! The log of a register, in the C2SP formats.

pub mod checkpoint;
pub mod cosignature;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tiles;
pub mod view;
pub mod witness;
pub mod witness_proof;
