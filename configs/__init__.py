"""Complete YAML examples, and the loader that turns YAML into typed frozen objects."""
