"""Decides, in mesh words, what one proxy does.

Here: pure functions from a `ProxyView` to a `ProxyPlan`: routing rules, traffic policies and scopes are merged and
settled, and each item remembers the config object that it came from.
Never here: Envoy's schema or names of its types (`envoy`), endpoints (they travel apart), I/O.
Main types: `ProxyPlan` and its parts in `types`.
"""
