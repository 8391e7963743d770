//! The guide's five processes as pure state: factory, transfer, network, application, verification.
