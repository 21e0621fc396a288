//! Registers: an authority's records, and the append-only log of their changes.

pub mod entry;
pub mod fact;
pub mod record;
