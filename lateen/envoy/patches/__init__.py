"""Patches of EnvoyFilters: a last step over finished resources.

`patching.patched` is the door. `values` reads what a patch brings in, `merging` merges it, `places` finds where.
Never here: which patches concern a proxy, in which order, or whether Envoy accepts what comes out.
"""
