"""What every part of the service may use: settings, logging, constants."""
