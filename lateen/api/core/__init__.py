"""The kinds of Kubernetes' core group: workloads' pods, services, accounts and the data they read."""
