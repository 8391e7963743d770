//! The PKCS#11 element, against SoftHSM.

#[cfg(test)]
mod it {
    mod softhsm;
    mod tools;
}
