from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0013_authorization_request'),
    ]

    operations = [
        migrations.AddField(
            model_name='clientpolicy',
            name='refresh_retry_window',
            field=models.PositiveIntegerField(blank=True, help_text="Seconds; empty: the site's; 0: no retry.", null=True, verbose_name='refresh retry window'),
        ),
    ]
