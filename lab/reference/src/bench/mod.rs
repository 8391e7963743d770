//! What onboarding costs, beside what its cryptography alone costs, in one run.

pub mod access;
pub mod bare;
pub mod book;
pub mod cut;
pub mod device;
mod disk;
pub mod dpp;
pub mod factory;
pub mod floor;
pub mod frames;
pub mod ground;
pub mod load;
pub mod measure;
pub mod mud;
pub mod report;
pub mod verification;
