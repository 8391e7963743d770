//! Status telemetry from the pledge (RFC 8995 s5.7, s5.9.4).
