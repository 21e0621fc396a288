//! The reference model reads registers.

use standfast_tests::interop::python;
use standfast_tests::skip::unless_missing;
use standfast_tests::vectors;

/// Without this a difference found with the driver could be the driver's own.
#[test]
fn the_driver_reads_every_register_of_the_model() {
    let Some(model) = vectors::model_folder() else { return };
    let Some(python) = unless_missing(python()) else { return };
    assert!(python.model_driver_self_check(&model) > 0);
}
