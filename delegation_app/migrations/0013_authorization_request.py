import delegation_app.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0012_client_tolerance'),
    ]

    operations = [
        migrations.CreateModel(
            name='PendingRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', delegation_app.models.fields.DigestField(unique=True, verbose_name='digest of the handle')),
                ('browser', delegation_app.models.fields.DigestField(verbose_name="digest of the browser's cookie")),
                ('kind', models.CharField(choices=[('request', 'sign-in'), ('consent', 'answer on the consent page'), ('device', 'answer on the device page')], max_length=8, verbose_name='kind')),
                ('subject', models.CharField(blank=True, max_length=300, verbose_name='subject')),
                ('client_id_value', models.CharField(max_length=255, verbose_name='client id')),
                ('network', models.CharField(blank=True, max_length=43, verbose_name='network')),
                ('content', models.JSONField(verbose_name='content')),
                ('kept_at', models.DateTimeField(verbose_name='kept')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
            ],
            options={
                'verbose_name': 'pending request',
                'verbose_name_plural': 'pending requests',
                'default_permissions': (),
                'indexes': [models.Index(fields=['expires_at'], name='pending_expired'), models.Index(fields=['subject', 'kind'], name='pending_of_subject'), models.Index(condition=models.Q(('subject', '')), fields=['network'], name='pending_anonymous_network'), models.Index(condition=models.Q(('subject', '')), fields=['client_id_value'], name='pending_anonymous_client')],
            },
        ),
    ]
