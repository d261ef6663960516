"""One wire dialect a file: parse once on the way in, render once on the way out."""
