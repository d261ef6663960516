"""Text in, facts out. No HTTP, no settings, no telemetry, no policy."""
