"""From a model's own graded answers to a calibrated confidence, and from a target to a threshold with a promise."""
