"""Adapters in processes of their own, by the protocol that Mixer speaks with them: gRPC, with or without sessions."""
