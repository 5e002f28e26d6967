"""From a power cut, or the kill of an application, until the service answers again."""
