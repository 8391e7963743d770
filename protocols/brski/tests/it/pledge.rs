//! The pledge against registrars that do one thing differently.

mod asking;
mod enrolling;
mod registrar;
mod renewing;
mod sim;
mod vouchers;
