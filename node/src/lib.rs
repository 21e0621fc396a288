//! The Standfast node: keys, journal, network, witness and local API.

pub mod api;
pub mod config;
mod driver;
pub mod error;
pub mod fence;
pub mod file;
pub mod keystore;
pub mod ledger;
pub mod local;
pub mod network;
mod replay;
pub mod run;
pub mod store;
pub mod telemetry;
mod witness;
