"""The kinds of `config.istio.io`: rules, and the instances, handlers, adapters and templates that they name.

`adapters.py` and `templates.py` are the tables of what is built in: a row has the name and the struct of its
parameters. The struct is the type of `params` in a handler or instance, and the spec of the older kind by that name.
"""
