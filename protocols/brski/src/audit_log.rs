//! The audit log as a MASA sends it (RFC 8995 s5.8.1).
