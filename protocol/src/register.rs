//! Registers: an authority's records, and the append-only log of their changes.

pub mod admission;
pub mod body;
mod branch;
pub mod draft;
pub mod entry;
pub mod fact;
pub mod fork;
pub mod mirror;
pub mod past;
pub mod query;
pub mod record;
pub mod state;
pub mod unread;
mod witnessing;

#[cfg(test)]
mod tests;
pub mod webvh;
