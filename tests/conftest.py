"""How properties are tried: `make test` with the same examples each time, `make fuzz` with many that nobody has seen."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("steady")
