"""How a model behaves: probes, statistics, and the run that asks an endpoint."""
