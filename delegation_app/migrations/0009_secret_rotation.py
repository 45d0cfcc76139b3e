import delegation_app.models.fields
import django.db.models.deletion
from django.db import migrations, models

from delegation_app.toolkit import APPLICATION_MODEL


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0008_audit_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='FormerSecret',
            fields=[
                ('application', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='delegation_former_secret', serialize=False, to=APPLICATION_MODEL, verbose_name='application')),
                ('hashed', models.TextField(editable=False, verbose_name='hashed')),
                ('successor_digest', delegation_app.models.fields.DigestField(editable=False, verbose_name='digest of the new one')),
                ('beside', delegation_app.models.fields.DigestField(editable=False, verbose_name='stands beside')),
                ('ends_at', models.DateTimeField(editable=False, verbose_name='ends')),
            ],
            options={
                'verbose_name': 'former secret',
                'verbose_name_plural': 'former secrets',
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='clientpolicy',
            options={'permissions': (('rotate_secret_clientpolicy', 'Can replace client secrets'),), 'verbose_name': 'client policy', 'verbose_name_plural': 'client policies'},
        ),
    ]
