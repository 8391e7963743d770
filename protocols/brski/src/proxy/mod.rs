//! The join proxy and how it is found (RFC 8995 s4).
