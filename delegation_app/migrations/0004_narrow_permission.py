from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0003_device_code'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='delegation',
            options={'ordering': ('-issued_at', '-id'), 'permissions': (('revoke_delegation', 'Can revoke delegations'), ('narrow_delegation', 'Can narrow delegations')), 'verbose_name': 'delegation', 'verbose_name_plural': 'delegations'},
        ),
    ]
