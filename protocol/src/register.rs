//! Registers: an authority's records together with the append-only log of their changes (`specs/register.md`).

pub mod entry;
pub mod fact;
pub mod record;
