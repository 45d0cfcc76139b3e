import delegation_app.models.fields
import django.db.models.deletion
from django.db import migrations, models

from delegation_app.toolkit import APPLICATION_MODEL


class Migration(migrations.Migration):

    dependencies = [
        ('delegation_app', '0002_handing_on'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeviceCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', delegation_app.models.fields.DigestField(unique=True, verbose_name='digest')),
                ('user_code_digest', delegation_app.models.fields.DigestField(null=True, unique=True, verbose_name='digest of the user code')),
                ('client_id_value', models.CharField(max_length=255, verbose_name='client id')),
                ('scope', delegation_app.models.fields.ScopeField(verbose_name='scope')),
                ('audience', delegation_app.models.fields.AudienceField(verbose_name='audience')),
                ('constraints', delegation_app.models.fields.ConstraintsField(verbose_name='constraints')),
                ('issued_at', models.DateTimeField(verbose_name='issued')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('interval', models.PositiveIntegerField(verbose_name='polling interval')),
                ('last_polled_at', models.DateTimeField(null=True, verbose_name='last polled')),
                ('approved_at', models.DateTimeField(null=True, verbose_name='approved')),
                ('denied_at', models.DateTimeField(null=True, verbose_name='denied')),
                ('consumed_at', models.DateTimeField(null=True, verbose_name='redeemed')),
                ('client', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegation_device_codes', to=APPLICATION_MODEL, verbose_name='client')),
                ('consent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='device_codes', to='delegation_app.consentrecord', verbose_name='consent')),
                ('delegation', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='device_codes', to='delegation_app.delegation', verbose_name='delegation')),
            ],
            options={
                'verbose_name': 'device code',
                'verbose_name_plural': 'device codes',
                'default_permissions': ('view',),
                'constraints': [models.CheckConstraint(condition=models.Q(('approved_at', None), ('denied_at', None), _connector='OR'), name='device_code_one_answer'), models.CheckConstraint(condition=models.Q(models.Q(('approved_at', None), ('delegation', None)), models.Q(('approved_at__isnull', False), ('delegation__isnull', False)), _connector='OR'), name='device_code_approved_with_delegation'), models.CheckConstraint(condition=models.Q(('consumed_at', None), ('approved_at__isnull', False), _connector='OR'), name='device_code_redeemed_if_approved')],
            },
        ),
    ]
