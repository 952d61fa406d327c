"""What Lateen offers for traffic beyond Istio's kinds: health checks, sessions that stay, egress in one object."""
