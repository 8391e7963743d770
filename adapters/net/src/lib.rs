//! TLS, HTTP, mDNS, GRASP and DPP on real sockets.
//!
//! Everything here is plumbing: it moves requests and responses, checks what a handshake proves, and bounds what a
//! stranger may use. What a certificate is worth is judged by the protocol cores, to whom every connection brings
//! its [`TlsPeer`](landfall_brski::TlsPeer).
//!
//! | module | client | server |
//! |---|---|---|
//! | [`tls`] | [`tls::ClientTls`]: provisional, anchored or named | [`tls::ServerTls`]: any client certificate, recorded |
//! | [`http`] | [`http::Connection`], [`http::Pool`] | [`http::Server`] |
//! | [`discovery`] | [`discovery::Browser`] | [`discovery::Announcer`] |
//! | `proxy` | | [`proxy::Proxy`], the join proxy's TCP circuits |
//! | [`dpp`] | [`dpp::Link`] | the same |
//! | `link` | `link::LinkSocket`: frames below IP | |
//! | [`wpa`] | [`wpa::Control`]: wpa_supplicant's and hostapd's control interface | |

pub mod discovery;
#[cfg(feature = "client")]
pub mod dpp;
mod error;
pub mod http;
#[cfg(feature = "client")]
pub mod link;
#[cfg(feature = "server")]
pub mod listen;
#[cfg(feature = "server")]
pub mod proxy;
pub mod tls;
pub mod wpa;

pub use error::NetError;
#[cfg(feature = "server")]
pub use listen::Accept;
