"""What a network, its feature maps and candidates are measured to do."""
