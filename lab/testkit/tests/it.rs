//! The test kit, tested.

#[cfg(test)]
mod it {
    mod harness;
    mod hosts;
    mod pki;
}
