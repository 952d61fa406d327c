"""The kinds of `networking.istio.io`: how traffic is routed, shaped, let in and let out."""
