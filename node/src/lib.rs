//! The Standfast node.

pub mod network;
pub mod store;
//! The Standfast node: journal, network, witness and local API, and the key files of this machine.

pub mod config;
pub mod file;
pub mod keystore;
pub mod ledger;
