"""Training a network so that its feature maps compress: differentiable taps, differentiable bits, and a loop."""
