"""What proxies and applications tell, read and put together: metrics as texts, queries about them, traces.

Never here: what a proxy is told to report (that is in `plan`), a socket, a clock. Main types: `exposition.Family`,
`queries.Query`, `traffic.Edge`, `traces.Trace`.
"""
