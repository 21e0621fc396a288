//! All tests of this package, in one binary: it is linked once.

mod interop;
