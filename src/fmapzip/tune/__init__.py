"""``fmapzip tune``: a network and images by name, trained so that its feature maps compress, and the report."""
