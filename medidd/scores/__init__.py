"""Scores of films and of patients, and beside baselines with equal labels."""
