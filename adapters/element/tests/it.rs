//! The contract of every element, and what only keys in files promise.

#[cfg(test)]
mod it {
    mod backends;
    mod files;
    mod seed;
}
