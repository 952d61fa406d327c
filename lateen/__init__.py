"""Lateen: a service mesh in Python around the stock Envoy."""
