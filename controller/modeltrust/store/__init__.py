"""The trusted state in memory: what a decision reads, and nothing else."""
