import delegation_app.models.fields
import django.db.models.deletion
from django.db import migrations, models

from delegation_app.toolkit import APPLICATION_MODEL


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0016_proposed_change'),
    ]

    operations = [
        migrations.CreateModel(
            name='SecretDigest',
            fields=[
                ('application', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='delegation_secret_digest', serialize=False, to=APPLICATION_MODEL, verbose_name='application')),
                ('digest', delegation_app.models.fields.DigestField(editable=False, verbose_name='digest')),
                ('beside', delegation_app.models.fields.DigestField(editable=False, verbose_name='stands beside')),
            ],
            options={
                'verbose_name': 'digest of a secret',
                'verbose_name_plural': 'digests of secrets',
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='formersecret',
            name='digest',
            field=delegation_app.models.fields.DigestField(blank=True, db_default='', default='', editable=False, verbose_name='digest'),
        ),
    ]
