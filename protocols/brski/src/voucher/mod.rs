//! Vouchers (RFC 8366) and voucher requests (RFC 8995 s3).
