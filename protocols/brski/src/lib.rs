//! BRSKI (RFC 8995), vouchers (RFC 8366) and EST (RFC 7030), both sides, without sockets or clocks.
