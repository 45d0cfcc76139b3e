import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

from delegation_app.toolkit import APPLICATION_MODEL


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0005_room_for_revocation'),
    ]

    operations = [
        migrations.AddField(
            model_name='clientpolicy',
            name='disabled_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='disabled'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='tightened_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='tightened'),
        ),
        migrations.AddField(
            model_name='delegation',
            name='last_wider_token',
            field=models.BigIntegerField(editable=False, null=True, verbose_name='last token before'),
        ),
        migrations.AddField(
            model_name='resourceserver',
            name='tightened_at',
            field=models.DateTimeField(editable=False, null=True, verbose_name='tightened'),
        ),
        # First the new index, so that there always is one
        migrations.AddIndex(
            model_name='accesstoken',
            index=models.Index(fields=['delegation', 'id', 'expires_at'], name='access_token_delegation'),
        ),
        migrations.AlterField(
            model_name='accesstoken',
            name='delegation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='access_tokens', to='delegation_app.delegation', verbose_name='delegation'),
        ),
        migrations.AlterField(
            model_name='clientpolicy',
            name='access_token_lifetime',
            field=models.PositiveIntegerField(blank=True, help_text="Seconds; empty: the site's.", null=True, validators=[django.core.validators.MaxValueValidator(86400)], verbose_name='access token lifetime'),
        ),
        migrations.AddIndex(
            model_name='delegation',
            index=models.Index(fields=['delegate', 'id'], name='delegation_delegate'),
        ),
        migrations.AlterField(
            model_name='delegation',
            name='delegate',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegations_held', to=APPLICATION_MODEL, verbose_name='delegate'),
        ),
        migrations.AddIndex(
            model_name='accesstoken',
            index=models.Index(condition=models.Q(('revoked_at__isnull', False)), fields=['id'], name='access_token_revoked'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('event__in', ['delegation.revoked', 'delegation.narrowed'])), fields=['occurred_at'], name='audit_lessened'),
        ),
    ]
