"""The command `lateen`: one module a command, imported when that command runs, and one table that lists them all.

Commands talk to a running mesh through `client.ApiClient`, to its supervisor, or run the pure rooms offline. What
never lives here: decisions about traffic. Start at `commands.py` (the table) and `main.py` (the entry point).
"""
