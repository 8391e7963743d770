//! How the holder of a long-lived key answers [`Output::Agree`](super::Output::Agree).

use super::KeyRole;
use crate::curve::{self, KeyError, PrivateKey, PublicKey};
use landfall_types::Redacted;
use std::sync::Arc;

/// The x coordinate of (key + addend) times point is wanted.
#[derive(Debug)]
pub struct Agreement {
    /// With which key.
    pub key: KeyRole,
    /// The point.
    pub point: PublicKey,
    /// An ephemeral key to be added to the held one, modulo the order of the curve (DPP s6.3.3: L = (bR + pR)·BI).
    pub addend: Option<Arc<PrivateKey>>,
}

impl Agreement {
    /// By a key that software holds.
    pub fn by_key(&self, key: &PrivateKey) -> Result<Redacted<Vec<u8>>, KeyError> {
        match &self.addend {
            None => key.agree(&self.point),
            Some(addend) => key.plus(addend)?.agree(&self.point),
        }
    }

    /// By a holder that cannot add and tells x coordinates only, as secure elements do. `own` is the held key's public
    /// half. The sign that a coordinate leaves open is settled by a second question, never by trying.
    pub fn by_coordinates<E: From<KeyError>>(
        &self,
        own: &PublicKey,
        mut agree: impl FnMut(&PublicKey) -> Result<Redacted<Vec<u8>>, E>,
    ) -> Result<Redacted<Vec<u8>>, E> {
        let x = agree(&self.point)?;
        let Some(addend) = &self.addend else { return Ok(x) };
        let shifted = agree(&self.point.plus(&PublicKey::generator(self.point.curve()))?)?;
        let held = curve::full_point(own, &self.point, x.expose(), shifted.expose())?;
        let sum = held.plus(&addend.multiply(&self.point)?)?;
        Ok(Redacted::new(sum.x().to_vec()))
    }
}
