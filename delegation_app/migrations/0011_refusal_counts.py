import delegation_app.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0015_outbox'),
    ]

    operations = [
        migrations.CreateModel(
            name='EventCount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', delegation_app.models.fields.DigestField(unique=True, verbose_name='digest')),
                ('event', models.CharField(max_length=64, verbose_name='event')),
                ('outcome', models.CharField(choices=[('done', 'done'), ('refused', 'refused')], max_length=8, verbose_name='outcome')),
                ('reason', models.CharField(blank=True, max_length=255, verbose_name='reason')),
                ('actor', models.CharField(blank=True, max_length=300, verbose_name='actor')),
                ('client_id_value', models.CharField(blank=True, max_length=255, verbose_name='client id')),
                ('ip_address', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('request_id', models.CharField(blank=True, max_length=64, verbose_name='id of the last request')),
                ('details', models.JSONField(default=delegation_app.models.fields.empty_object, verbose_name='details of the first')),
                ('count', models.PositiveBigIntegerField(default=1, verbose_name='count')),
                ('first_at', models.DateTimeField(verbose_name='first')),
                ('last_at', models.DateTimeField(verbose_name='last')),
                ('ends_at', models.DateTimeField(db_index=True, verbose_name='ends')),
            ],
            options={
                'verbose_name': 'event count',
                'verbose_name_plural': 'event counts',
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='devicecode',
            name='address',
            field=models.CharField(blank=True, db_default='', default='', max_length=43, verbose_name='address that asked'),
        ),
        migrations.AddIndex(
            model_name='devicecode',
            index=models.Index(fields=['client_id_value', 'expires_at'], name='device_code_of_client'),
        ),
        migrations.AddIndex(
            model_name='devicecode',
            index=models.Index(fields=['address', 'expires_at'], name='device_code_of_address'),
        ),
    ]
