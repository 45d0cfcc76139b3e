import delegation_app.models.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='clientpolicy',
            name='constraints',
            field=delegation_app.models.fields.ConstraintsField(help_text='Limits of everything that is opened for this client.', verbose_name='constraints'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='exchanges_refresh_tokens',
            field=models.BooleanField(default=False, help_text='It may present its own refresh tokens for exchange.', verbose_name='exchanges refresh tokens'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='impersonates',
            field=models.BooleanField(default=False, help_text='Its exchanges without an actor token do not name it as the actor.', verbose_name='impersonates'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='may_act',
            field=models.CharField(blank=True, default='', help_text='The client id of the only client that may exchange what this one holds.', max_length=255, verbose_name='may act with its tokens'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='may_ask_for_constraints',
            field=models.BooleanField(default=False, help_text='Take the parameter “constraints”, which can only narrow.', verbose_name='may ask for constraints'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='refreshes_exchanged',
            field=models.BooleanField(default=False, help_text='Its exchanges give a refresh token too.', verbose_name='refreshes what it exchanged'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='constraints',
            field=delegation_app.models.fields.ConstraintsField(verbose_name='constraints'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='actors',
            field=models.JSONField(blank=True, default=delegation_app.models.fields.empty_list, editable=False, verbose_name='actors'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='barred',
            field=models.BooleanField(default=False, editable=False, verbose_name='not again'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='lineage',
            field=models.TextField(blank=True, default='', editable=False, verbose_name='clients above'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='max_uses',
            field=models.PositiveIntegerField(editable=False, null=True, verbose_name='most tokens'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='uses',
            field=models.PositiveIntegerField(default=0, editable=False, verbose_name='tokens issued'),
        ),
        migrations.AlterField(
            model_name='delegation',
            name='constraints',
            field=delegation_app.models.fields.ConstraintsField(verbose_name='constraints'),
        ),
        migrations.AlterField(
            model_name='resourceserver',
            name='name',
            field=models.CharField(help_text='As people are shown it.', max_length=255, unique=True, verbose_name='name'),
        ),
        migrations.AddIndex(
            model_name='clientpolicy',
            index=models.Index(condition=models.Q(('enabled', False)), fields=['application'], name='client_policy_disabled'),
        ),
        migrations.AddIndex(
            model_name='delegation',
            index=models.Index(condition=models.Q(('barred', True)), fields=['parent', 'delegate'], name='delegation_barred'),
        ),
    ]
