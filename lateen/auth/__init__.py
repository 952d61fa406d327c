"""Identity and credentials: who a workload is, how it proves it, and what it gets for that.

Lives here: keys and certificate requests (`keys`, `requests`), the certificate authority (`authority`, `plugged_in`),
what it issued (`certificate`, `ledger`), whose certificates are trusted (`trust`), the change from one root to another
(`rotation`), when to renew (`renewal`), how callers prove who they are (`attestation`, `tokens`), and all of it behind
one door (`issuer`).
Never here: sockets, files, clocks, tasks. Keys, the time and serial numbers are passed in; only `keys.make_key` draws
randomness.
"""
