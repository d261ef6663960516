"""One detector a file: text in, findings out; what fails raises, and the pipeline makes it a typed error."""
