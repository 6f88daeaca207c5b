"""The main job: one config, its check before work starts, and the run from a stack to its products."""
