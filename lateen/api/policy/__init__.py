"""Lateen's own kinds for what stands before a workload's ports: rate limits, external processors, API keys."""
