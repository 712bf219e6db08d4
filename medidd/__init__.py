"""Dataset distillation for radiographs."""
