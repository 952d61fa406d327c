"""Golden cases: what a user writes, what a proxy does for it, and how Envoy is told."""
