"""The requirement lineage."""
