//! The device's own agent: discover, onboard, renew, reset.
//!
//! An [`Agent`] has what the factory gave the device, an element that keeps its keys, and a folder for what it is
//! told later. It drives the cores of [`landfall_brski::pledge`] over real connections; everything that is decided is
//! decided there.
//!
//! It can be killed at any point: what is durable is a whole credential or none, and the next start goes on from it.

mod agent;
mod attest;
mod birth;
pub mod cli;
mod config;
mod connect;
mod discover;
pub mod dpp;
mod drive;
mod error;
mod evidence;
mod file;
mod posture;
mod request;
mod seed;
mod service;
mod show;
mod state;
mod update;
mod well_known;

pub use agent::{Agent, Onboarded, Outcome, Standing};
pub use attest::{attest, probe};
pub use config::{Config, Discovery, Form, Keys};
pub use connect::{Config as ConnectConfig, Medium};
pub use error::DeviceError;
pub use posture::{Attestation, Software, measure};
pub use request::{Wanted, introduce, prove, request};
pub use update::{Update, Updated, update};
