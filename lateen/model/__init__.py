"""What the mesh is: workloads, services, endpoints, proxies, and the snapshot of all of them at one version.

Here: frozen values and pure functions that derive them from config objects and workloads, with structural sharing.
Never here: what a proxy should do about it (`plan`), Envoy's words (`envoy`), clocks, sockets, clients.
Main types: `Workload`, `Service`, `Endpoint`, `Proxy`, `Snapshot`, `ProxyView`.
"""
