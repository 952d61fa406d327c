"""Says a plan in Envoy's words.

Lives here: one function for each of Envoy's nouns (`cluster`, `listener`, `virtual_host`), serialization, and the
cache of what was serialized. HTTP filters are in `http_filters`, network filters in `network_filters`, one file each.
Never here: decisions. What a proxy does has been settled in `plan`; nothing here knows where a plan goes.
Main functions: `resources.resource_set`, `bootstrap.bootstrap`.
"""
