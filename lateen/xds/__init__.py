"""The delta xDS protocol as a state machine: what a stream is told next, and why.

Lives here: resources as ready bytes (`resources`), the order of types (`order`), versions of what a class of proxies
is to have (`versions`), and one stream's progress (`channel` for one type, `session` for all), between `events` and
`commands`. Never here: protobuf, sockets, clocks, tasks, and any idea of what a resource means.
"""
