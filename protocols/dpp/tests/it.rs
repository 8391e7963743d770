//! Tests of Wi-Fi Easy Connect.
