//! What onboarding costs, beside what its cryptography alone costs, in one run.

pub mod brski;
pub mod floor;
pub mod ground;
pub mod load;
pub mod report;
