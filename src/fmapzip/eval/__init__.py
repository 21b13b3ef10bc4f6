"""Evaluation: models, images and splits as the command line names them, one run over them, and its report."""
