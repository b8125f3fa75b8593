"""Alembic's way in. `service.store.migrate` hands over the connection; nothing else runs this."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="paystate")
with context.begin_transaction():
    context.run_migrations()
