"""Benchmarks: load clients, a made-up mesh, and what measures with them."""
