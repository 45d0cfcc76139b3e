from django.db import migrations

# Half of each page stays free, so that a revoked row finds room in its own page. PostgreSQL then
# writes no index (a heap-only update): revoking a tree costs its rows, not its rows times indexes.
# A table that is full already profits after one VACUUM FULL.


def leave_room(apps, schema_editor):
    _set_fillfactor(apps, schema_editor, 50)


def fill(apps, schema_editor):
    _set_fillfactor(apps, schema_editor, 100)


def _set_fillfactor(apps, schema_editor, percent):
    if schema_editor.connection.vendor != 'postgresql':
        return
    table = apps.get_model('delegation_app', 'Delegation')._meta.db_table
    name = schema_editor.quote_name(table)
    schema_editor.execute(f'ALTER TABLE {name} SET (fillfactor = {percent})')


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0004_narrow_permission'),
    ]

    operations = [
        migrations.RunPython(leave_room, fill),
    ]
