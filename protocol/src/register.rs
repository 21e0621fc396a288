//! Registers: an authority's records together with the append-only log of their changes (`specs/register.md`).

mod branch;
pub mod admission;
pub mod body;
pub mod draft;
pub mod entry;
pub mod fact;
pub mod fork;
pub mod query;
pub mod record;
pub mod state;

#[cfg(test)]
mod tests;
