//! How a refusal is told to the peer (RFC 8995 s5.3, s5.6).
