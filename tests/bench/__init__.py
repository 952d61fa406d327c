"""The measurements work; what they measure is not judged here."""
