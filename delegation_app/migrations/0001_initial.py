
import delegation_app.models.fields
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from delegation_app.toolkit import APPLICATION_MODEL


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ConsentRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name='consent id')),
                ('request_digest', delegation_app.models.fields.DigestField(editable=False, unique=True)),
                ('subject', models.CharField(max_length=300, verbose_name='subject')),
                ('client_id_value', models.CharField(max_length=255, verbose_name='client id')),
                ('client_name', models.CharField(max_length=255, verbose_name='client name as shown')),
                ('redirect_host', models.CharField(max_length=255, verbose_name='redirect host as shown')),
                ('scopes_asked', delegation_app.models.fields.ScopeField(verbose_name='scopes asked for')),
                ('scopes_granted', delegation_app.models.fields.ScopeField(verbose_name='scopes granted')),
                ('scopes_refused', delegation_app.models.fields.ScopeField(verbose_name='scopes refused')),
                ('audience', delegation_app.models.fields.AudienceField(verbose_name='audience')),
                ('text_version', models.CharField(blank=True, max_length=32, verbose_name='text version')),
                ('locale', models.CharField(blank=True, max_length=32, verbose_name='locale')),
                ('chosen_expiry', models.DateTimeField(null=True, verbose_name='expires')),
                ('decision', models.CharField(choices=[('granted', 'granted'), ('denied', 'denied'), ('trusted', 'not asked: trusted client')], max_length=8, verbose_name='decision')),
                ('decided_at', models.DateTimeField(verbose_name='decided')),
                ('ip_address', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('user_agent', models.CharField(blank=True, max_length=255, verbose_name='user agent')),
                ('withdrawn_at', models.DateTimeField(null=True, verbose_name='withdrawn')),
                ('withdrawn_by', models.CharField(blank=True, max_length=300, verbose_name='withdrawn by')),
                ('client', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegation_consents', to=APPLICATION_MODEL, verbose_name='client')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegation_consents', to=settings.AUTH_USER_MODEL, verbose_name='user')),
            ],
            options={
                'verbose_name': 'consent record',
                'verbose_name_plural': 'consent records',
                'ordering': ('-decided_at',),
                'permissions': (('withdraw_consentrecord', 'Can withdraw consent'),),
            },
        ),
        migrations.CreateModel(
            name='Delegation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True, verbose_name='delegation id')),
                ('subject', models.CharField(db_index=True, max_length=300, verbose_name='subject')),
                ('delegate_client_id', models.CharField(db_index=True, max_length=255, verbose_name='client id of the delegate')),
                ('path', models.CharField(max_length=400, verbose_name='path')),
                ('depth', models.PositiveSmallIntegerField(default=0, verbose_name='depth')),
                ('scopes', delegation_app.models.fields.ScopeField(verbose_name='scopes')),
                ('audience', delegation_app.models.fields.AudienceField(verbose_name='audience')),
                ('constraints', models.JSONField(blank=True, default=delegation_app.models.fields.empty_list, verbose_name='constraints')),
                ('grant_type', models.CharField(max_length=100, verbose_name='grant type')),
                ('terms_digest', delegation_app.models.fields.DigestField(verbose_name='terms')),
                ('auth_time', models.DateTimeField(null=True, verbose_name='signed in')),
                ('acr', models.CharField(blank=True, max_length=100, verbose_name='authentication context')),
                ('issued_at', models.DateTimeField(verbose_name='issued')),
                ('expires_at', models.DateTimeField(null=True, verbose_name='expires')),
                ('revoked_at', models.DateTimeField(null=True, verbose_name='revoked')),
                ('revoked_by', models.CharField(blank=True, max_length=300, verbose_name='revoked by')),
                ('revocation_reason', models.CharField(blank=True, max_length=255, verbose_name='reason')),
                ('last_used_at', models.DateTimeField(null=True, verbose_name='last used')),
                ('metadata', models.JSONField(blank=True, default=delegation_app.models.fields.empty_object, verbose_name='metadata')),
                ('consent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='delegations', to='delegation_app.consentrecord', verbose_name='consent')),
                ('delegate', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegations_held', to=APPLICATION_MODEL, verbose_name='delegate')),
                ('parent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='delegation_app.delegation', verbose_name='parent')),
                ('principal_client', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegations_given', to=APPLICATION_MODEL, verbose_name='principal (client)')),
                ('principal_user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='delegations_given', to=settings.AUTH_USER_MODEL, verbose_name='principal (user)')),
                ('root', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='delegation_app.delegation', to_field='public_id', verbose_name='root')),
            ],
            options={
                'verbose_name': 'delegation',
                'verbose_name_plural': 'delegations',
                'ordering': ('-issued_at', '-id'),
                'permissions': (('revoke_delegation', 'Can revoke delegations'),),
            },
        ),
        migrations.CreateModel(
            name='AuthorizationCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', delegation_app.models.fields.DigestField(unique=True, verbose_name='digest')),
                ('redirect_uri', models.TextField(verbose_name='redirect URI')),
                ('code_challenge', models.CharField(max_length=43, verbose_name='code challenge')),
                ('scope', delegation_app.models.fields.ScopeField(verbose_name='scope')),
                ('audience', delegation_app.models.fields.AudienceField(verbose_name='audience')),
                ('issued_at', models.DateTimeField(verbose_name='issued')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('consumed_at', models.DateTimeField(null=True, verbose_name='redeemed')),
                ('delegation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='codes', to='delegation_app.delegation', verbose_name='delegation')),
            ],
            options={
                'verbose_name': 'authorization code',
                'verbose_name_plural': 'authorization codes',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event', models.CharField(max_length=64, verbose_name='event')),
                ('outcome', models.CharField(choices=[('done', 'done'), ('refused', 'refused')], max_length=8, verbose_name='outcome')),
                ('occurred_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
                ('actor', models.CharField(blank=True, max_length=300, verbose_name='actor')),
                ('subject', models.CharField(blank=True, max_length=300, verbose_name='subject')),
                ('client_id_value', models.CharField(blank=True, max_length=255, verbose_name='client id')),
                ('jti', models.CharField(blank=True, max_length=27, verbose_name='token id')),
                ('reason', models.CharField(blank=True, max_length=255, verbose_name='reason')),
                ('ip_address', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('request_id', models.CharField(blank=True, max_length=64, verbose_name='request id')),
                ('details', models.JSONField(default=delegation_app.models.fields.empty_object, verbose_name='details')),
                ('consent', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='delegation_app.consentrecord', verbose_name='consent')),
                ('delegation', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='delegation_app.delegation', verbose_name='delegation')),
            ],
            options={
                'verbose_name': 'audit event',
                'verbose_name_plural': 'audit events',
                'ordering': ('-occurred_at', '-id'),
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='AccessToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('jti', models.CharField(max_length=27, unique=True, verbose_name='token id')),
                ('digest', delegation_app.models.fields.DigestField(null=True, unique=True, verbose_name='digest')),
                ('scope', delegation_app.models.fields.ScopeField(verbose_name='scope')),
                ('audience', delegation_app.models.fields.AudienceField(verbose_name='audience')),
                ('issued_at', models.DateTimeField(verbose_name='issued')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('revoked_at', models.DateTimeField(null=True, verbose_name='revoked')),
                ('delegation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='access_tokens', to='delegation_app.delegation', verbose_name='delegation')),
            ],
            options={
                'verbose_name': 'access token',
                'verbose_name_plural': 'access tokens',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='RefreshToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', delegation_app.models.fields.DigestField(unique=True, verbose_name='digest')),
                ('scope', delegation_app.models.fields.ScopeField(verbose_name='scope')),
                ('audience', delegation_app.models.fields.AudienceField(verbose_name='audience')),
                ('issued_at', models.DateTimeField(verbose_name='issued')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('consumed_at', models.DateTimeField(null=True, verbose_name='rotated')),
                ('delegation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refresh_tokens', to='delegation_app.delegation', verbose_name='delegation')),
                ('predecessor', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='successor', to='delegation_app.refreshtoken', verbose_name='predecessor')),
            ],
            options={
                'verbose_name': 'refresh token',
                'verbose_name_plural': 'refresh tokens',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ResourceServer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identifier', models.CharField(help_text='An absolute URI. It is the value of “resource” and of “aud”.', max_length=255, unique=True, validators=[delegation_app.models.fields.validate_resource_identifier], verbose_name='identifier')),
                ('name', models.CharField(help_text='As people are shown it.', max_length=255, verbose_name='name')),
                ('scopes', delegation_app.models.fields.ScopeField(help_text='The scopes that it knows, separated by spaces.', verbose_name='scopes')),
                ('token_format', models.CharField(choices=[('jwt', 'JSON Web Token'), ('opaque', 'opaque, for introspection only')], default='jwt', max_length=8, verbose_name='token format')),
                ('active', models.BooleanField(default=True, help_text='Untick to refuse every token for it, at once.', verbose_name='active')),
                ('introspectors', models.ManyToManyField(blank=True, help_text='The clients that this service uses to ask about tokens.', related_name='introspectable_resource_servers', to=APPLICATION_MODEL, verbose_name='introspecting clients')),
            ],
            options={
                'verbose_name': 'resource server',
                'verbose_name_plural': 'resource servers',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='ClientPolicy',
            fields=[
                ('application', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='delegation_policy', serialize=False, to=APPLICATION_MODEL, verbose_name='application')),
                ('enabled', models.BooleanField(default=True, help_text='Untick to stop everything this client holds.', verbose_name='enabled')),
                ('grants', models.JSONField(blank=True, default=delegation_app.models.fields.empty_list, verbose_name='grant types')),
                ('scopes', delegation_app.models.fields.ScopeField(help_text='All it may ever have, separated by spaces. Empty means none.', verbose_name='scopes')),
                ('token_endpoint_auth_method', models.CharField(blank=True, choices=[('client_secret_basic', 'HTTP Basic'), ('client_secret_post', 'secret in the body'), ('none', 'none (public client)')], default='', help_text='Empty: Basic or body for a client with a secret.', max_length=32, verbose_name='client authentication')),
                ('always_ask', models.BooleanField(default=False, help_text='Ask the person each time, consent or not.', verbose_name='always ask')),
                ('may_introspect_all', models.BooleanField(default=False, help_text="For operators' own tools.", verbose_name='may introspect every token')),
                ('access_token_lifetime', models.PositiveIntegerField(blank=True, help_text="Seconds; empty: the site's.", null=True, verbose_name='access token lifetime')),
                ('refresh_token_lifetime', models.PositiveIntegerField(blank=True, help_text="Seconds; empty: the site's.", null=True, verbose_name='refresh token lifetime')),
                ('delegation_lifetime', models.PositiveIntegerField(blank=True, help_text="Seconds; empty: the site's.", null=True, verbose_name='delegation lifetime')),
                ('readmitted_at', models.DateTimeField(editable=False, null=True, verbose_name='readmitted')),
                ('audiences', models.ManyToManyField(blank=True, help_text='The resource servers it may get tokens for.', related_name='client_policies', to='delegation_app.resourceserver', verbose_name='audiences')),
                ('default_audience', models.ForeignKey(blank=True, help_text='For requests that name no resource. A single audience needs no default.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='delegation_app.resourceserver', verbose_name='default audience')),
            ],
            options={
                'verbose_name': 'client policy',
                'verbose_name_plural': 'client policies',
            },
        ),
        migrations.CreateModel(
            name='SigningKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kid', models.CharField(max_length=64, unique=True, verbose_name='key id')),
                ('algorithm', models.CharField(choices=[('ES256', 'ES256'), ('RS256', 'RS256'), ('EdDSA', 'EdDSA')], max_length=8, verbose_name='algorithm')),
                ('state', models.CharField(choices=[('next', 'next'), ('active', 'active'), ('retired', 'retired')], max_length=8, verbose_name='state')),
                ('public_jwk', models.JSONField(verbose_name='public key')),
                ('encrypted_private_key', models.BinaryField()),
                ('created_at', models.DateTimeField(verbose_name='made')),
                ('activated_at', models.DateTimeField(null=True, verbose_name='signs since')),
                ('expires_at', models.DateTimeField(null=True, verbose_name='published until')),
            ],
            options={
                'verbose_name': 'signing key',
                'verbose_name_plural': 'signing keys',
                'ordering': ('-created_at', '-id'),
                'permissions': (('rotate_signingkey', 'Can rotate signing keys'),),
                'default_permissions': ('view',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['active', 'next'])), fields=('state',), name='signing_key_one_active_one_next')],
            },
        ),
        migrations.AddIndex(
            model_name='consentrecord',
            index=models.Index(fields=['subject', 'client_id_value'], name='consent_of_subject_at_client'),
        ),
        migrations.AddIndex(
            model_name='delegation',
            index=models.Index(fields=['root', 'path'], name='delegation_tree', opclasses=['uuid_ops', 'varchar_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='delegation',
            index=models.Index(fields=['terms_digest'], name='delegation_terms'),
        ),
        migrations.AddIndex(
            model_name='delegation',
            index=models.Index(fields=['-issued_at', '-id'], name='delegation_newest'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(('principal_user', None), ('principal_client', None), _connector='OR'), name='delegation_one_principal'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('depth', 0), ('parent', None)), models.Q(('depth__gt', 0), ('parent__isnull', False)), _connector='OR'), name='delegation_child_is_deeper'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at', None), ('expires_at__gt', models.F('issued_at')), _connector='OR'), name='delegation_expires_after_issue'),
        ),
        migrations.AddConstraint(
            model_name='delegation',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('revoked_at', None), ('revoked_by', '')), models.Q(('revoked_at__isnull', False), models.Q(('revoked_by', ''), _negated=True)), _connector='OR'), name='delegation_revoked_by_somebody'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['-occurred_at', '-id'], name='audit_newest'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('jti', ''), _negated=True), fields=['jti'], name='audit_jti'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['subject'], name='audit_subject'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['client_id_value'], name='audit_client'),
        ),
        migrations.AddConstraint(
            model_name='clientpolicy',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('access_token_lifetime', None), ('access_token_lifetime__gt', 0), _connector='OR'), models.Q(('refresh_token_lifetime', None), ('refresh_token_lifetime__gt', 0), _connector='OR'), models.Q(('delegation_lifetime', None), ('delegation_lifetime__gt', 0), _connector='OR')), name='client_policy_lifetimes_positive'),
        ),
    ]
