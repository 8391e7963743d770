//! What the kernel does with what it is told, in network namespaces that the tests make.

#[cfg(test)]
mod it {
    mod kernel;
}
