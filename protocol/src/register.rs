//! Registers: an authority's records together with the append-only log of their changes (`specs/register.md`).

pub mod fact;
//! Registers: logs whose entries change a state of records.

pub mod entry;
pub mod record;
