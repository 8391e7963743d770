//! The tests of this crate, one module per part.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod it {
    mod certificates;
    mod cms;
    mod crls;
    mod draft;
    mod issuing;
    mod jose;
    mod keys;
    mod lints;
    mod mutations;
    mod openssl;
    mod paths;
    mod published;
    mod requests;
    mod world;
}
