"""Which candidate each feature map gets, so that a budget is spent well."""
