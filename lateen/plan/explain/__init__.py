"""What becomes of a request, and which line of which file decides it: the plan read step by step, without Envoy.

`journeys` follows a request through one proxy. `explanation` puts journeys, endpoints and the server's decision
together. `causes` reads what a proxy has logged. Nothing here asks a running proxy.
"""
