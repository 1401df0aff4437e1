"""Who is told of bounces and decisions, one module each."""
