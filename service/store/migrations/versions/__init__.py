"""One small Python file a migration, for alembic, beside the SQL that it runs."""
