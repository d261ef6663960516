"""The commands that make the artifacts. Nothing here is imported when serving."""
