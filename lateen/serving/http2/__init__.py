"""HTTP/2 for gRPC servers: as much of RFC 9113 as such a server needs, as a state machine without I/O."""
