//! Durable records and hash-chained logs: in memory and SQLite behind one contract.
