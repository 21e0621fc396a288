//! Credentials and registers that other implementations make, and what they say about ours.

mod credentials;
mod decoder;
mod registers;
mod webvh;
