//! The configurator, as devices, access points and operators see it.

mod access_points;
mod again;
mod backup;
mod buttons;
mod codes;
mod crowds;
mod device;
mod est;
mod ground;
mod hand_over;
mod lifecycle;
mod networks;
mod onboarding;
mod page;
mod passwords;
mod refusals;
mod survives;
