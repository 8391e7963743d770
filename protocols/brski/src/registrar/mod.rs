//! The registrar: judges pledges and asks the MASA on their behalf (RFC 8995 s5).
