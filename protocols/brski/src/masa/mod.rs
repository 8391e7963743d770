//! The MASA: issues vouchers and keeps the audit log (RFC 8995 s5.5 to s5.8).
