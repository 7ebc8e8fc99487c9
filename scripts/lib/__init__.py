"""What scripts/setup, scripts/lab and scripts/demo share."""
