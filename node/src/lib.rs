//! The Standfast node: keys, journal, network, witness and local API.

mod driver;
mod replay;
pub mod api;
pub mod config;
pub mod error;
pub mod file;
pub mod keystore;
pub mod ledger;
pub mod local;
pub mod network;
pub mod run;
pub mod store;
pub mod telemetry;
