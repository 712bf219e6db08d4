"""What is measured, and what it is measured against; README.md has the figures."""
