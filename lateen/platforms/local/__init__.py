"""A mesh on one machine: workloads are ordinary processes, each set in a network namespace of its own.

Two processes share the work. The *supervisor* (`supervisor.py`, standard library only) owns what the kernel gives:
namespaces, links, rules, processes, published ports, the DNS relay; it outlives the control plane. The *node agent*
(inside the control plane) decides which sandboxes and processes exist and asks for them in the words of `protocol.py`.

What never lives here: what traffic should do. Main types: `SandboxSpec`, `ProcessSpec`, `Interception`, `MeshState`.
Nothing is imported here: the supervisor must stay small.
"""
