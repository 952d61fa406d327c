"""The kinds of `security.istio.io`: who is who, and who may call whom."""
