//! What PKEX computes (DPP s5.6.2, s5.6.3).

use super::{Code, Side, element::role_element};
use crate::{
    crypto::{self, Secret},
    curve::{Curve, KeyError, PublicKey},
};

/// What ties an exchange to its two sides: the addresses in release 1, the versions since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// MAC addresses, the initiator's first.
    V1([u8; 6], [u8; 6]),
    /// Versions, the initiator's first.
    V2(u8, u8),
}

impl Binding {
    /// The address that `side` puts into its values; none in release 2.
    pub(super) fn mac(&self, side: Side) -> &[u8] {
        match (self, side) {
            (Self::V1(mac, _), Side::Initiator) | (Self::V1(_, mac), Side::Responder) => mac,
            (Self::V2(..), _) => &[],
        }
    }

    fn info(&self) -> Vec<u8> {
        match self {
            Self::V1(initiator, responder) => [*initiator, *responder].concat(),
            Self::V2(initiator, responder) => vec![*initiator, *responder],
        }
    }
}

/// Q, which blinds the key of `side`: H([MAC] | [identifier] | code) times its role element. Release 2 has no `mac`.
pub(super) fn blind(curve: Curve, side: Side, mac: &[u8], code: &Code) -> Result<PublicKey, KeyError> {
    let identifier = code.identifier().unwrap_or_default();
    let digest = crypto::hash(curve, &[mac, identifier.as_bytes(), code.octets()]);
    role_element(curve, side)?.times_hash(&digest)
}

/// z = HKDF(<>, info | M.x | N.x | code, K.x).
pub(super) fn z(binding: &Binding, m: &PublicKey, n: &PublicKey, code: &Code, k: &[u8]) -> Secret {
    crypto::derive(m.curve(), &[&binding.info(), m.x(), n.x(), code.octets()], &[k])
}

/// u or v: HMAC(agreed, [MAC |] revealed.x | peer.x | own.x), which shows that `side` holds the key that it reveals.
/// `own` and `peer` are the ephemeral keys of that side and of the other.
pub(super) fn tag(
    binding: &Binding,
    side: Side,
    agreed: &[u8],
    revealed: &PublicKey,
    peer: &PublicKey,
    own: &PublicKey,
) -> Secret {
    crypto::hmac(revealed.curve(), agreed, &[binding.mac(side), revealed.x(), peer.x(), own.x()])
}
