import delegation_app.models.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0006_status_lists'),
    ]

    operations = [
        migrations.CreateModel(
            name='ClientLogo',
            fields=[
                ('policy', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='logo', serialize=False, to='delegation_app.clientpolicy', verbose_name='client policy')),
                ('data', models.BinaryField(verbose_name='data')),
                ('content_type', models.CharField(choices=[('image/png', 'PNG'), ('image/jpeg', 'JPEG'), ('image/webp', 'WebP')], max_length=16, verbose_name='kind')),
                ('digest', delegation_app.models.fields.DigestField(db_index=True, verbose_name='digest')),
            ],
            options={
                'verbose_name': 'client logo',
                'verbose_name_plural': 'client logos',
                'default_permissions': (),
            },
        ),
        migrations.AlterModelOptions(
            name='consentrecord',
            options={'ordering': ('-decided_at',), 'permissions': (('withdraw_consentrecord', 'Can withdraw consent'), ('confirm_consentrecord', 'Can confirm consent')), 'verbose_name': 'consent record', 'verbose_name_plural': 'consent records'},
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='confirm_risky',
            field=models.BooleanField(default=False, help_text='A consent to a scope of high risk waits until an operator confirms it.', verbose_name='confirm what is risky'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='home_page',
            field=models.CharField(blank=True, default='', max_length=500, validators=[delegation_app.models.fields.validate_web_address], verbose_name='home page'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='privacy_page',
            field=models.CharField(blank=True, default='', max_length=500, validators=[delegation_app.models.fields.validate_web_address], verbose_name='privacy page'),
        ),
        migrations.AddField(
            model_name='clientpolicy',
            name='required_scopes',
            field=delegation_app.models.fields.ScopeField(help_text='It can not work without these. People may only allow them or deny all.', verbose_name='needed scopes'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='acr',
            field=models.CharField(blank=True, editable=False, max_length=100, verbose_name='authentication context'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='auth_time',
            field=models.DateTimeField(editable=False, null=True, verbose_name='signed in'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='confirmation',
            field=models.CharField(blank=True, choices=[('', 'not needed'), ('pending', 'pending'), ('confirmed', 'confirmed'), ('refused', 'refused')], default='', max_length=9, verbose_name='confirmation'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='confirmation_at',
            field=models.DateTimeField(null=True, verbose_name='confirmed or refused'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='confirmation_by',
            field=models.CharField(blank=True, max_length=300, verbose_name='by'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='confirmation_reason',
            field=models.CharField(blank=True, max_length=255, verbose_name='reason'),
        ),
        migrations.AddField(
            model_name='consentrecord',
            name='shown',
            field=models.JSONField(default=delegation_app.models.fields.empty_object, verbose_name='text as shown'),
        ),
        migrations.AddIndex(
            model_name='consentrecord',
            index=models.Index(fields=['-decided_at', '-id'], name='consent_newest'),
        ),
        migrations.AddIndex(
            model_name='consentrecord',
            index=models.Index(fields=['decision', '-decided_at', '-id'], name='consent_decision'),
        ),
        migrations.AddIndex(
            model_name='consentrecord',
            index=models.Index(condition=models.Q(('confirmation', ''), _negated=True), fields=['confirmation', '-decided_at', '-id'], name='consent_confirmation'),
        ),
        migrations.AddIndex(
            model_name='consentrecord',
            index=models.Index(condition=models.Q(('withdrawn_at__isnull', False)), fields=['-decided_at', '-id'], name='consent_withdrawn'),
        ),
        migrations.AddConstraint(
            model_name='consentrecord',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('confirmation__in', ['', 'pending']), ('confirmation_at', None)), models.Q(('confirmation__in', ['confirmed', 'refused']), ('confirmation_at__isnull', False)), _connector='OR'), name='consent_confirmed_by_somebody'),
        ),
    ]
