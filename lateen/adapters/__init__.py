"""Mixer's adapters, one module each: what rules hand requests to, outside of the pure rooms; they may do I/O."""
