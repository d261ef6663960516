"""Set-up and deployment: standard library only, because it runs before anything is installed."""
