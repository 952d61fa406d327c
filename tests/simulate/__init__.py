"""Calls through simulated proxies, in tables that users can read."""
