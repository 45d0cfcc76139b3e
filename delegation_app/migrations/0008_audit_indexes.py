import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0007_consent_page'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='auditevent',
            options={'default_permissions': ('view',), 'ordering': ('-occurred_at', '-id'), 'permissions': (('export_auditevent', 'Can export audit events'),), 'verbose_name': 'audit event', 'verbose_name_plural': 'audit events'},
        ),
        # First the new indexes, so that there always is one
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('request_id', ''), _negated=True), fields=['request_id'], name='audit_request'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['delegation', '-occurred_at', '-id'], name='audit_of_delegation'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['subject', '-occurred_at', '-id'], name='audit_of_subject'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['client_id_value', '-occurred_at', '-id'], name='audit_of_client'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['actor', '-occurred_at', '-id'], name='audit_of_actor'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('event__in', ('token.issued', 'token.refreshed', 'token.exchanged', 'token.impersonated')), _negated=True), fields=['event', '-occurred_at', '-id'], name='audit_rare'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('event__in', ('token.issued', 'token.refreshed', 'token.exchanged', 'token.impersonated')), _negated=True), fields=['delegation', '-occurred_at', '-id'], name='audit_rare_of_one'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('outcome', 'refused')), fields=['-occurred_at', '-id'], name='audit_refused'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('reason', ''), _negated=True), fields=['reason', '-occurred_at', '-id'], name='audit_reason'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(django.db.models.functions.Cast(django.db.models.fields.json.KeyTextTransform('endpoint', 'details'), models.TextField()), models.OrderBy(models.F('occurred_at'), descending=True), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('outcome', 'refused')), name='audit_refused_at'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(django.db.models.functions.Cast(django.db.models.fields.json.KeyTextTransform('grant_type', 'details'), models.TextField()), models.OrderBy(models.F('occurred_at'), descending=True), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('outcome', 'refused')), name='audit_refused_grant'),
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_subject',
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_client',
        ),
        migrations.AlterField(
            model_name='auditevent',
            name='delegation',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='delegation_app.delegation', verbose_name='delegation'),
        ),
    ]
