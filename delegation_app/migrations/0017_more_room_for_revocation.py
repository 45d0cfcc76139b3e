from django.db import migrations

# A delegation has more columns than when half of each page was enough; see 0005


def leave_more_room(apps, schema_editor):
    _set_fillfactor(apps, schema_editor, 40)


def leave_room(apps, schema_editor):
    _set_fillfactor(apps, schema_editor, 50)


def _set_fillfactor(apps, schema_editor, percent):
    if schema_editor.connection.vendor != 'postgresql':
        return
    table = apps.get_model('delegation_app', 'Delegation')._meta.db_table
    name = schema_editor.quote_name(table)
    schema_editor.execute(f'ALTER TABLE {name} SET (fillfactor = {percent})')


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0011_refusal_counts'),
    ]

    operations = [
        migrations.RunPython(leave_more_room, leave_room),
    ]
