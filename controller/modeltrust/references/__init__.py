"""From a Kubernetes object to what it loads: tables as data, one walker."""
