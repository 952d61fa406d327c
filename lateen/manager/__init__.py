"""The control loop: changes go in, pushes to proxies and statuses come out (Istio-Manager).

Here: what the user's wishes add up to (`store`), virtual addresses, when to push (`debounce`), who is connected and
what each has acknowledged (`pushes`), and the loop itself. asyncio, no sockets, no protobuf types.
Main types: `ControlLoop`, `Pushes`, `Store`.
"""
