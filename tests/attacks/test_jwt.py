"""Forged and mangled access tokens, at every door that reads one (SECURITY.md group E)."""

import base64
import json
import socket
from enum import Enum

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from delegation_app.models import AccessToken, ResourceServer
from delegation_app.protocol import jwk
from delegation_app.protocol.errors import InvalidToken
from delegation_app.resource_server.verifiers.offline import OfflineVerifier
from delegation_app.services import signing_keys
from delegation_app.services.tokens import local_verifier
from tests.support.answers import each
from tests.support.wire import Wire
from tests.support.world import SERVICE_A, SERVICE_B, claims_of

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

ISSUER = "https://as.example.com"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Absent(Enum):
    """A member that is left out; an enum, since a test's id shows it."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def as_bytes(value):
    """JSON of a value; text and bytes stand for themselves, so that they can be wrong."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def changed(members, changes):
    """Members with some changed, added or left out."""
    result = {**members, **changes}
    return {name: value for name, value in result.items() if value is not ABSENT}


class Forger:
    """Has a good token of cron's, and even the server's own key to sign others with."""

    def __init__(self, story):
        self.story = story
        self.good = story.client_credentials().json()["access_token"]
        self.claims = claims_of(self.good)
        self.header = jwt.get_unverified_header(self.good)
        self.identity = signing_keys.signer()
        self.wire = Wire()
        # No thread: what it knows of keys and revocations is what is read here
        self.offline = OfflineVerifier(
            ISSUER, SERVICE_A, poll_seconds=0, max_staleness=3600, transport=self.wire
        )
        assert self.offline.verify(self.good)

    def token(self, header=None, claims=None, *, key=None, algorithm="ES256"):
        """A token whose header and claims are exactly these, signed well."""
        head = encoded(as_bytes(self.header if header is None else header))
        body = encoded(as_bytes(self.claims if claims is None else claims))
        key = self.identity.key if key is None else key
        signer = get_default_algorithms()[algorithm]
        signature = signer.sign(f"{head}.{body}".encode(), key)
        return f"{head}.{body}.{encoded(signature)}"

    def with_header(self, **changes):
        return self.token(header=changed(self.header, changes))

    def with_claims(self, **changes):
        return self.token(claims=changed(self.claims, changes))

    def is_taken(self, token, audience=SERVICE_A):
        """Whether both doors take it; that they disagree is a failure."""
        told = self.story.introspect(token)
        assert told.status_code == 200, told.content
        answers = {told.json()["active"], verifies(token, audience)}
        if told.json() != {"active": False}:
            assert told.json()["jti"] == self.claims["jti"]
        assert len(answers) == 1, "introspection and local verifier disagree"
        return answers.pop()

    def assert_refused(self, token):
        self.assert_refused_by_the_server(token)
        asked = len(self.wire.asked)
        with pytest.raises(InvalidToken):
            self.offline.verify(token)
        assert len(self.wire.asked) == asked

    def assert_refused_by_the_server(self, token):
        """For what only the server can know: it has no row for the token."""
        assert not self.is_taken(token)
        # Nor can it be used to revoke the good one: by nobody, unless it names a key that is gone.
        # Then its owner may, who is known by the secret and gives back a token of its own
        asker = "cron" if names_a_key(token) else "web"
        self.story.revoke(token, self.story.world.apps[asker])
        assert self.is_taken(self.good)


def names_a_key(token):
    """Whether a published key is named in the header."""
    head = token.split(".")[0]
    try:
        kid = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return True
    return kid in [key["kid"] for key in signing_keys.published()]


def verifies(token, audience):
    try:
        local_verifier.verify(token, audience)
    except InvalidToken as error:
        # The caller learns that it is refused, not why
        return error.description != "The access token is not valid."
    return True


@pytest.fixture
def forger(story, monkeypatch):
    """No token makes this process open a connection: whatever tries fails the test."""
    made = Forger(story)

    def refuse(*_args, **_kwargs):
        raise AssertionError("the contents of a token caused a network call")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    return made


def test_token_when_forged_with_nothing_changed(forger):
    """The control: what is refused below is refused for the one thing that was changed."""
    assert forger.is_taken(forger.good)
    assert forger.is_taken(forger.token())
    assert forger.is_taken(forger.with_claims(extra="x"))


# The algorithm: E1, E2


def test_algorithm_when_the_header_chooses_another(forger):
    for alg in [
        "none", "None", "NONE", "nOnE", "", "null", "HS256", "es256", "ES384", "RS256", "PS256",
    ]:  # fmt: skip
        for signature in ["", "AA", "own"]:
            with each((alg, signature)):
                token = forger.with_header(alg=alg)
                head, body, good = token.split(".")
                forger.assert_refused(f"{head}.{body}.{good if signature == 'own' else signature}")


def test_algorithm_when_missing_or_no_text(forger):
    for alg in [ABSENT, None, 0, True, ["ES256"], ["none"], {"ES256": 1}]:
        with each(alg):
            forger.assert_refused(forger.with_header(alg=alg))


def public_key_texts(public):
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield pem
    yield pem.rstrip(b"\n")
    yield pem.replace(b"\n", b"")
    yield public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
@pytest.mark.parametrize("hmac", ["HS256", "HS384", "HS512"])
def test_algorithm_when_the_public_key_is_used_as_a_shared_secret(story, settings, algorithm, hmac):
    settings.DELEGATION = {**settings.DELEGATION, "SIGNING_ALGORITHM": algorithm}
    forger = Forger(story)
    published = next(k for k in signing_keys.published() if k["kid"] == forger.header["kid"])
    secrets = list(public_key_texts(forger.identity.key.public_key()))
    secrets += [
        json.dumps(published).encode(),
        json.dumps(published, separators=(",", ":")).encode(),
        json.dumps(published, sort_keys=True).encode(),
        *(value.encode() for value in published.values()),
        b"",
    ]
    for secret in secrets:
        header = {**forger.header, "alg": hmac}
        forger.assert_refused(forger.token(header=header, key=secret, algorithm=hmac))


def test_algorithm_when_key_and_header_are_of_different_kinds(forger):
    strange = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header = {**forger.header, "alg": "RS256"}
    forger.assert_refused(forger.token(header=header, key=strange, algorithm="RS256"))


# The key: E4, E5


def test_kid_when_unknown_or_strange(forger):
    for kid in [
        ABSENT, None, "", 0, ["x"], "unknown", "../../../../dev/null", "/dev/null", "' or 1=1 --",
        "x' UNION SELECT 'key' --", "\x00", "a\x00b", "\U0001f511", "\ud800", "k" * 5_000,
        "https://evil.example/key", "file:///etc/passwd", "%00", "{{7*7}}", "*",
    ]:  # fmt: skip
        with each(kid):
            forger.assert_refused(forger.with_header(kid=kid))


def test_kid_when_it_names_another_published_key(forger):
    others = [key["kid"] for key in signing_keys.published() if key["kid"] != forger.header["kid"]]
    assert others
    for kid in others:
        forger.assert_refused(forger.with_header(kid=kid))


def test_kid_when_many_unknown_ones_come(forger, django_assert_max_num_queries):
    tokens = [forger.with_header(kid=f"unknown-{number}") for number in range(20)]
    # At most once a second
    with django_assert_max_num_queries(1):
        assert not any(verifies(token, SERVICE_A) for token in tokens)


def test_key_when_the_token_brings_its_own(forger):
    for name in ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"]:
        for signed_by in ["attacker", "server"]:
            for kid in ["attacker", "server"]:
                with each((name, signed_by, kid)):
                    attacker = ec.generate_private_key(ec.SECP256R1())
                    public = jwk.public_jwk(attacker, "ES256")
                    value = {
                        "jwk": public,
                        "x5c": [base64.b64encode(b"certificate").decode()],
                        "x5t": "AAAA",
                        "x5t#S256": "AAAA",
                    }.get(name, "https://evil.example/keys.json")
                    header = {**forger.header, name: value}
                    if kid == "attacker":
                        header["kid"] = public["kid"]
                    key = attacker if signed_by == "attacker" else forger.identity.key
                    forger.assert_refused(forger.token(header=header, key=key))


def test_key_when_somebody_else_signs_under_our_kid(forger):
    forger.assert_refused(forger.token(key=ec.generate_private_key(ec.SECP256R1())))


# The rest of the header: E7, E8


def test_header_when_it_says_more_than_we_ever_do(forger):
    for extra in [
        {"crit": ["bork"], "bork": 1}, {"crit": ["exp"]}, {"crit": ["exp"], "exp": 1}, {"crit": []},
        {"crit": "exp"}, {"crit": None}, {"crit": {"b64": True}}, {"crit": ["b64"], "b64": False},
        {"b64": False}, {"b64": True}, {"zip": "DEF"}, {"cty": "JWT"}, {"enc": "A256GCM"},
        {"epk": {}}, {"p2c": 2**31}, {"nonce": "x"}, {"iss": "https://as.example.com"}, {"x": "y"},
    ]:  # fmt: skip
        with each(extra):
            forger.assert_refused(forger.with_header(**extra))


def test_typ_when_it_names_an_access_token_in_any_spelling(forger):
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT"]:
        with each(typ):
            assert forger.is_taken(forger.with_header(typ=typ))


@pytest.mark.conformance("AT-13")
def test_typ_when_it_names_anything_else_or_nothing(forger):
    for typ in [
        ABSENT, None, "", 0, ["at+jwt"], "JWT", "jwt", "at-jwt", "at+jwt ", " at+jwt", "at+jwt\n",
        "xat+jwt", "at+jwtx", "application/application/at+jwt", "text/at+jwt", "at+jwt;v=1",
        "logout+jwt", "secevent+jwt", "statuslist+jwt", "token-introspection+jwt", "dpop+jwt",
        "client-authentication+jwt", "oauth-id-jag+jwt", "oauth-authz-req+jwt",
    ]:  # fmt: skip
        with each(typ):
            forger.assert_refused(forger.with_header(typ=typ))


def test_header_when_ambiguous_or_malformed(forger):
    for header in [
        '{"alg":"ES256","typ":"at+jwt","kid":"KID","alg":"none"}',
        '{"alg":"none","typ":"at+jwt","kid":"KID","alg":"ES256"}',
        '{"alg":"ES256","typ":"JWT","typ":"at+jwt","kid":"KID"}',
        '{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"KID"}',
        '{"alg":"ES256","typ":"at+jwt","kid":"KID","kid":"KID"}',
        '{"alg":"ES256","typ":"at+jwt","kid":"KID","\\u006bid":"x"}', "", "{}", "[]", "null", "1",
        '"ES256"', '["alg","typ","kid"]', '{"alg":"ES256","typ":"at+jwt","kid":"KID"',
        '{"alg":"ES256","typ":"at+jwt","kid":"KID"}{}',
        '{"alg":"ES256","typ":"at+jwt","kid":"KID",}', "{'alg':'ES256','typ':'at+jwt','kid':'KID'}",
        '\ufeff{"alg":"ES256","typ":"at+jwt","kid":"KID"}', "[" * 3_000, '{"a":' * 700,
    ]:  # fmt: skip
        with each(header):
            forger.assert_refused(forger.token(header=header.replace("KID", forger.header["kid"])))


def test_header_when_not_utf8(forger):
    for raw in (b"\xff\xfe", b'{"alg":"\xe9"}'):
        rest = forger.good.split(".", 1)[1]
        forger.assert_refused(f"{encoded(raw)}.{rest}")
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        forger.assert_refused(forger.token(header=json.dumps(forger.header).encode(encoding)))
        forger.assert_refused(forger.token(claims=json.dumps(forger.claims).encode(encoding)))


# The claims: E10, E11


def test_issuer_when_not_exactly_ours(forger):
    for iss in [
        ABSENT, None, "", 0, True, [ISSUER], {"iss": ISSUER}, ISSUER + "/", ISSUER[:-1],
        ISSUER + ".evil.example", ISSUER.upper(), ISSUER.replace("https", "http"),
        "https://as.example.com:443", "https://evil.example/?" + ISSUER, ISSUER + "\x00",
        " " + ISSUER,
    ]:  # fmt: skip
        with each(iss):
            forger.assert_refused(forger.with_claims(iss=iss))


def test_time_when_missing_or_no_second_of_a_calendar(forger):
    for name in ["exp", "iat", "nbf"]:
        for value in [
            ABSENT, None, "", "1", "NOW", [1], {}, True, False, -1, -(2**63), 2**63, 2**53,
            253402300800,
        ]:  # fmt: skip
            with each((name, value)):
                later = str(forger.claims["exp"] + 60)
                token = forger.with_claims(**{name: later if value == "NOW" else value})
                # RFC 7519 section 4.1.5: only this one is optional
                if (name, value) == ("nbf", ABSENT):
                    assert forger.is_taken(token)
                else:
                    forger.assert_refused(token)


def test_time_when_it_is_a_number_that_json_parsers_disagree_on(forger):
    for name in ["exp", "iat", "nbf"]:
        for text in ["1e400", "-1e400", "1e9", "NaN", "Infinity", "-Infinity", "9" * 99]:
            with each((name, text)):
                claims = json.dumps({**forger.claims, name: "HERE"}).replace('"HERE"', text)
                forger.assert_refused(forger.token(claims=claims))


def test_time_when_it_has_a_fraction(forger):
    for name in ["exp", "iat", "nbf"]:
        with each(name):
            forger.assert_refused(forger.with_claims(**{name: forger.claims[name] + 0.0}))


@pytest.mark.parametrize(
    ("name", "seconds", "taken"),
    [
        ("exp", 1, True), ("exp", -9, True), ("exp", -10, False), ("exp", -61, False),
        ("iat", 10, True), ("iat", 11, False), ("iat", 61, False), ("nbf", 10, True),
        ("nbf", 11, False), ("nbf", 61, False),
    ],
)  # fmt: skip
def test_time_when_clocks_differ(story, clock, name, seconds, taken):
    # The row lives on; only the token's own times are looked at here
    forger = Forger(story)
    now = int(clock.time.timestamp())
    assert forger.is_taken(forger.with_claims(**{name: now + seconds})) is taken


def test_expiry_when_the_token_claims_more_than_its_row(story, clock):
    forger = Forger(story)
    token = forger.with_claims(exp=forger.claims["exp"] + 3600)
    assert forger.is_taken(token)
    clock.forward(seconds=600)
    assert not forger.is_taken(token)


def test_jti_when_it_names_no_row(forger):
    for jti in [ABSENT, None, "", 0, 1, ["x"], "unknown", "x" * 5_000, "\x00", "%"]:
        with each(jti):
            forger.assert_refused_by_the_server(forger.with_claims(jti=jti))


def test_jti_when_it_is_that_of_an_opaque_token(forger):
    ResourceServer.objects.filter(identifier=SERVICE_A).update(token_format="opaque")
    opaque = forger.story.client_credentials().json()["access_token"]
    assert forger.story.is_active(opaque)
    row = AccessToken.objects.latest("id")
    forger.assert_refused_by_the_server(forger.with_claims(jti=row.jti))


def test_claims_when_no_object(forger):
    for claims in ["", "null", "[]", "1", '"x"', "{}", "{", "[" * 3_000, "not json", "{} {}"]:
        with each(claims):
            forger.assert_refused(forger.token(claims=claims))


def test_claims_when_a_member_stands_twice(forger):
    for name in ["iss", "exp", "jti", "sub", "aud"]:
        with each(name):
            text = json.dumps(forger.claims)
            twice = text[:-1] + f", {json.dumps(name)}: {json.dumps(forger.claims[name])}}}"
            assert json.loads(twice) == forger.claims
            forger.assert_refused(forger.token(claims=twice))


def test_claims_when_they_differ_from_the_record(forger):
    for changes in [
        {"sub": "user:1"},
        {"client_id": "web"},
        {"scope": "read:metrics write:alerts delete:alerts"},
        {"delegation_id": "00000000-0000-4000-8000-000000000000"},
    ]:
        with each(changes):
            token = forger.with_claims(**changes)
            told = forger.story.introspect(token).json()
            assert told == forger.story.introspect(forger.good).json()
            assert local_verifier.verify(token, SERVICE_A) == local_verifier.verify(
                forger.good, SERVICE_A
            )


# The audience


def test_audience_when_it_is_another_service(forger):
    story = forger.story
    token = story.tokens(resource=SERVICE_B, scope="read:metrics")["access_token"]
    assert verifies(token, SERVICE_B)
    forger.claims = claims_of(token)
    for audience in (SERVICE_A, [SERVICE_A, SERVICE_B], "*", [], None):
        forged = forger.with_claims(aud=audience)
        assert not verifies(forged, SERVICE_A)
        assert story.introspect(forged).json() == {"active": False}


@pytest.mark.parametrize(
    "audience",
    [
        "", "*", SERVICE_A + "/", SERVICE_A[:-1], SERVICE_A.upper(), "web", "cron", ISSUER,
        SERVICE_B, f"{SERVICE_A} {SERVICE_B}",
    ],
)  # fmt: skip
def test_audience_when_the_verifier_has_another_name(forger, audience):
    assert not verifies(forger.good, audience)


# The text: malleable, truncated, extended, encrypted, too long


def test_text_when_cut_anywhere(forger):
    token = forger.good
    for length in (*range(0, len(token), 23), *range(len(token) - 12, len(token))):
        assert not verifies(token[:length], SERVICE_A)
        if length:
            assert not forger.story.is_active(token[:length])
            assert not verifies(token[length:], SERVICE_A)


def test_text_when_extended(forger):
    for suffix in [
        "A", "AA", "AAAA", "=", "==", ".", "..", " ", "\n", "\t", "\x00", "é", "%", ".AA",
    ]:  # fmt: skip
        with each(suffix):
            for text in (forger.good + suffix, suffix + forger.good):
                assert not verifies(text, SERVICE_A)
                answer = forger.story.introspect(text)
                # A NUL can't stand in a form at all
                expected = 400 if suffix == "\x00" else 200
                assert answer.status_code == expected
                assert answer.json().get("active", False) is False


@pytest.mark.parametrize("part", [0, 1, 2])
def test_text_when_one_part_is_padded_or_spelt_in_another_alphabet(forger, part):
    def with_part(text):
        parts = forger.token(claims={**forger.claims, "extra": "ÿþ??>>~~"}).split(".")
        parts[part] = text(parts[part])
        return ".".join(parts)

    assert forger.is_taken(with_part(lambda text: text))
    for spell in (
        lambda text: text + "=", lambda text: text + "==", lambda text: text[:4] + "\n" + text[4:],
        lambda text: text[:4] + " " + text[4:], lambda text: text[:4] + "%" + text[4:],
        lambda text: text.swapcase(), lambda text: "",
    ):  # fmt: skip
        forger.assert_refused(with_part(spell))


def test_text_when_the_last_character_hides_other_bits(forger):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    head, body, signature = forger.good.split(".")
    others = 0
    for character in alphabet:
        other = signature[:-1] + character
        if other != signature and decoded(other) == decoded(signature):
            others += 1
            forger.assert_refused(f"{head}.{body}.{other}")
    # 64 bytes are 85 characters and 2 bits: sixteen spellings, fifteen of them wrong
    assert others == 15


def test_text_when_plus_and_slash_stand_for_minus_and_underscore(forger):
    token = forger.good
    while not {"-", "_"} & set(token.split(".")[2]):
        token = forger.token()
    head, body, signature = token.split(".")
    standard = signature.replace("-", "+").replace("_", "/")
    forger.assert_refused(f"{head}.{body}.{standard}")


def test_signature_when_zero_short_or_in_another_form(forger):
    for signature in [b"", b"\x00" * 64, b"\xff" * 64, b"\x00" * 63, b"\x30\x44"]:
        with each(signature):
            head, body, _ = forger.good.split(".")
            forger.assert_refused(f"{head}.{body}.{encoded(signature)}")


def test_signature_when_of_other_claims(forger):
    head, _, signature = forger.good.split(".")
    body = forger.with_claims(scope="delete:alerts").split(".")[1]
    forger.assert_refused(f"{head}.{body}.{signature}")


def test_signature_when_mirrored(forger):
    """ECDSA has two signatures for everything (s and n - s); revocation goes by jti, not text."""
    head, body, signature = forger.good.split(".")
    raw = decoded(signature)
    mirrored = raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    twin = f"{head}.{body}.{encoded(mirrored)}"
    story = forger.story
    assert story.revoke(forger.good, story.world.cron).status_code == 200
    assert not forger.is_taken(twin)
    assert not forger.is_taken(forger.good)


def test_text_when_encrypted_or_of_another_number_of_parts(forger):
    head, body, signature = forger.good.split(".")
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "p2c": 2**31 - 1, "p2s": "AAAA"}
    bomb = encoded(json.dumps(header).encode())
    for text in (
        f"{bomb}.AA.AA.AA.AA",
        f"{bomb}....",
        f"{head}.{body}.{signature}.AA.AA",
        f"{head}.{body}.{signature}.{signature}",
        f"{head}.{body}",
        f"{head}.{body}.",
        f"{head}..{signature}",
        f".{body}.{signature}",
        "..",
        "...",
        "." * 8_000,
        head,
        json.dumps({"payload": body, "protected": head, "signature": signature}),
        f"Bearer {forger.good}",
        f"{forger.good},{forger.good}",
    ):
        forger.assert_refused(text)


def test_text_when_longer_than_eight_kib(forger):
    def padded_to(length):
        token = forger.with_claims(pad="")
        while len(token) < length:
            missing = max(1, (length - len(token)) * 3 // 4)
            token = forger.with_claims(pad="x" * (len(claims_of(token)["pad"]) + missing))
        return token

    assert forger.is_taken(padded_to(8 * 1024 - 8))
    for length in (8 * 1024 + 1, 16 * 1024, 60 * 1024):
        forger.assert_refused(padded_to(length))
    huge = padded_to(1024 * 1024)
    assert not verifies(huge, SERVICE_A)
    assert forger.story.introspect(huge).status_code == 400


def test_text_when_it_is_another_secret_of_ours(forger):
    story = forger.story
    tokens = story.tokens()
    code = story.code()
    for text in (tokens["refresh_token"], code, forger.claims["jti"], story.world.web.secret):
        assert not verifies(text, SERVICE_A)
        assert story.introspect(text).json() == {"active": False}
