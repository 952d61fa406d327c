"""The HTTP filters, one file each: how one stands in a chain, and what a route tells it.

`order.ORDER` is the order in which a request passes them. Each module has `NAME`, `SLEEPS`,
`http_filters(side, guard)` and `route_config(route)`.
Never here: whether a route has a fault or cross-origin rules; the plan says so.
"""
