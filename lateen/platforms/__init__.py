"""Where config and workloads come from, and where proxies run: one sub-package a platform.

A platform never decides what the mesh means; it turns what it finds into changes, and runs what it is told to run.
Nothing is imported here, so that a small process can use one module of one platform without paying for the rest.
"""
