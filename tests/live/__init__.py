"""Real meshes, started as users start them; every feature is seen as traffic."""
