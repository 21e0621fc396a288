//! All tests of this package, in one binary: it is linked once.

mod agency;
mod charters;
mod clocks;
mod cluster;
mod command_line;
mod demo;
mod exercises;
mod interop;
mod mirror;
mod model {
    //! The vectors of the reference model, one test for each file; and vectors of fresh seeds.

    mod entries;
    mod forks;
    mod fresh;
    mod freshness;
    mod log;
    mod notes;
    mod policies;
    mod registers;
    mod trie;
    mod trust;
}
mod properties {
    //! What holds for every history, form and publisher, tried on random ones (`specs/tests.md`).

    mod encodings;
    mod histories;
    mod light;
}
mod nobody_signs_twice;
mod outlives;
mod publishing;
mod rotation;
mod screens;
mod signer;
mod spec_vectors;
mod trqp;
mod unread;
mod verify;
mod w3c;
mod webvh;
mod witness;
