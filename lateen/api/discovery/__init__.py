"""The kinds of Kubernetes' `discovery.k8s.io` group: addresses behind services, written by hand."""
