"""The plan that is handed out, trained, and checked on images that took no part in the choice."""
