//! The TPM element, against swtpm.

#[cfg(test)]
mod it {
    mod keys;
    mod proof;
    mod quote;
    mod tools;
    mod trouble;
}
