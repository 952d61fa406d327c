"""Tests of the model: what follows from objects and workloads."""
