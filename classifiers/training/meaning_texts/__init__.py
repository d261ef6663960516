"""Templates and slot lists of the meanings, as data; read by `classifiers.training.meaning_grammar`."""
