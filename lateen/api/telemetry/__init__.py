"""Kinds of telemetry.istio.io."""
