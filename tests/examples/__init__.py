"""The examples, run without a mesh."""
