from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0010_blocks'),
    ]

    operations = [
        migrations.AddField(
            model_name='clientpolicy',
            name='drops_unavailable_scopes',
            field=models.BooleanField(default=False, help_text='Leave scopes that it cannot get out of its requests, instead of refusing these. A request of which nothing is left counts as one without scope.', verbose_name='drops unavailable scopes'),
        ),
    ]
