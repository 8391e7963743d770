//! Well signed nonsense: what gets past the parsers and the signatures of a server is at its core's mercy.
//!
//! A hostile party may hold a good certificate. So the content of what it sends is changed at random *before* it is
//! signed, and what must hold of every answer is checked: whoever asks gets one, it is no server error, and it grants
//! only what has been proven.

mod requests;
mod vouchers;

use landfall_brski::{ChannelBinding, TlsPeer};
use landfall_testkit::Identity;

fn peer(of: &Identity) -> TlsPeer {
    TlsPeer { chain: of.chain(), binding: ChannelBinding::default() }
}
