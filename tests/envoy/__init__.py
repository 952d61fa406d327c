"""Tests of the room `envoy`."""
