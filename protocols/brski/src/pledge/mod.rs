//! The pledge: finds a registrar, asks for a voucher, checks it and enrols (RFC 8995 s5).
