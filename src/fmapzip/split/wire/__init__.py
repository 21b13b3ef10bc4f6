"""The messages between a device and a server: split.proto, and what is generated of it."""
