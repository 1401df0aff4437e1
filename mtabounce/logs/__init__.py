"""Log formats, one module each: lines in, delivery outcomes out. Pure."""
