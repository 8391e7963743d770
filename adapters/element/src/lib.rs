//! Secure elements behind one trait: keys by URI, software backend.
