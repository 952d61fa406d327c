"""The doors: bytes in and out, our types inside; no decisions.

Lives here: the discovery server for proxies (`xds`) and the other servers that speak to the outside. gRPC, HTTP and
Envoy's protobufs are welcome; what to answer is decided by the rooms below.
"""
