//! Process 4 (the guide's 4.4): the device joins its application service.
//!
//! Nothing of it is recorded yet: a device that has joined the network is known to its applications by its LDevID.
