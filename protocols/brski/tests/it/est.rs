//! EST: the server's machine, the client's readers, and the CSR attributes.

mod client;
mod csrattrs;
mod examples;
mod keygen;
mod nonsense;
mod openssl;
mod reenroll;
mod refusals;
mod server;
mod world;
