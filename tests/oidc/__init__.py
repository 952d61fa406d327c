"""A real OpenID provider and a real browser, from packages of npm."""
