//! What onboarding costs, beside what its cryptography alone costs, in one run.

pub mod floor;
pub mod load;
