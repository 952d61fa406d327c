"""The kinds of Kubernetes' `apps` group: what multiplies pods."""
