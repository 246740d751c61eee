"""The only authority on what was computed before: results by task key, as Parquet, committed by a sidecar."""
