"""What a method needs trained on the films before it begins."""
