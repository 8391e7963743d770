//! The device's side of Wi-Fi Easy Connect: an enrollee over TCP, or through the device's own radio.
//!
//! An [`Enrollee`] is a bootstrapping key with what the device wants, and does one exchange at a time with a configurator:
//! it [announces](Enrollee::announce) itself and answers, it [asks](Enrollee::ask), it [answers](Enrollee::answer)
//! whoever connects, or it [introduces](Enrollee::introduce) itself by a code. What it gets is in the hands of a [`Keep`] before the configurator hears that it was taken.
//! A [`Device`] is an enrollee with a folder, which looks for configurators until one takes it.
//!
//! Everything that is decided is decided in [`landfall_dpp::exchange`].

mod birth;
mod button;
pub(crate) mod cli;
mod config;
mod device;
mod drive;
mod enrollee;
mod introduce;
mod networks;
mod radio;
mod reconfigure;
mod search;
mod standing;
mod take_over;
mod touch;
mod via;

pub use birth::{BootstrapKey, Identity};
pub use config::{Config, Mutual, Via};
pub use device::{Device, End, Onboarding};
pub use enrollee::{Enrolled, Enrollee, Outcome, Session, Succession, Wishes};
pub use networks::{Keep, MemoryStore, Networks};
pub use radio::{Join, NoRadio, Supplicant};
pub use standing::{Certified, NetworkSummary, Standing};
pub use take_over::TakeOver;

pub(crate) use birth::{Birth, LABEL};
pub(crate) use via::unescaped;

/// Who watches.
pub type Watch<'a> = &'a (dyn Fn(&str) + Send + Sync);
