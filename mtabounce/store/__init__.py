"""PostgreSQL: connections, schema, and one module for each family of tables."""
