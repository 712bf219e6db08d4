"""Scores beyond those of single films: of patients, and beside baselines with equal labels."""
