//! The Standfast node: keys, journal, network, witness and local API.

pub mod config;
pub mod file;
pub mod keystore;
pub mod ledger;
pub mod network;
pub mod store;
