//! The server roles: factory, MASA, supply chain, registrar, join proxy, console API.
