"""A model is served only as it was signed, by somebody whose key is configured."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.cli import heartwood
from services.credit.scorecard_file import MODELS, load_scorecard
from shared import clock
from shared.artefacts import (
    DEVELOPMENT_KEY,
    ArtefactError,
    check,
    key_id,
    make_key,
    public_text,
    read_key,
    sign,
    trusted,
    written,
)
from shared.settings import settings
from tests.shared.test_settings import PRODUCTION

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
DOCUMENT = {"name": "model", "terms": [0.1, 1e-9, None], "text": "树"}


def test_what_was_signed_is_read_and_named_by_the_hash_of_its_bytes() -> None:
    signature = sign(DOCUMENT, KEY, "a modeller", clock.now())
    found = check("model.json", written(DOCUMENT), [signature], KEYS)
    assert found.document == DOCUMENT
    assert found.sha256 == signature["sha256"]
    assert [each["by"] for each in found.signatures] == ["a modeller"]


def test_any_byte_changed_anywhere_is_refused() -> None:
    content = written(DOCUMENT)
    signature = sign(DOCUMENT, KEY, "a modeller", clock.now())
    for place in range(len(content)):
        for bit in (1, 128):
            changed = bytearray(content)
            changed[place] ^= bit
            with pytest.raises(ArtefactError, match=r"model.json has SHA-256"):
                check("model.json", bytes(changed), [signature], KEYS)


def test_any_change_of_a_signature_is_refused() -> None:
    signature = sign(DOCUMENT, KEY, "a modeller", clock.now())
    for name, value in signature.items():
        for other in (None, "", {} if isinstance(value, dict) else f"{value}x", 3):
            with pytest.raises(ArtefactError, match="no signature"):
                check("model.json", written(DOCUMENT), [signature | {name: other}], KEYS)
        with pytest.raises(ArtefactError, match="no signature"):
            check("model.json", written(DOCUMENT), [{k: v for k, v in signature.items() if k != name}], KEYS)
    with pytest.raises(ArtefactError, match="signed by none"):
        check("model.json", written(DOCUMENT), [], KEYS)


def test_a_stranger_s_signature_counts_for_nothing_beside_a_trusted_one() -> None:
    mine, strange = (sign(DOCUMENT, key, "somebody", clock.now()) for key in (KEY, OTHER))
    with pytest.raises(ArtefactError, match=key_id(OTHER.public_key())):
        check("model.json", written(DOCUMENT), [strange], KEYS)
    assert len(check("model.json", written(DOCUMENT), [strange, mine], KEYS).signatures) == 1


def test_keys_change_while_every_artefact_is_served() -> None:
    """Signed again by the new key, an artefact holds before, while and after the old one is trusted."""
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    document = {"weights": [1, 2]}
    signed = [sign(document, each, "the board", clock.now()) for each in (old, new)]
    for trusting in ([old], [old, new], [new]):
        keys = {key_id(each.public_key()): each.public_key() for each in trusting}
        assert check("card", written(document), signed, keys).document == document
    with pytest.raises(ArtefactError, match="no signature by a trusted key holds"):
        check("card", written(document), signed[:1], {key_id(new.public_key()): new.public_key()})


def test_the_development_key_holds_in_development_only() -> None:
    ours = key_id(DEVELOPMENT_KEY.public_key())
    assert ours in trusted(settings({}))
    with pytest.raises(ArtefactError, match="HEARTWOOD_MODEL_KEYS is missing"):
        trusted(settings(PRODUCTION))
    in_production = trusted(settings(PRODUCTION | {"HEARTWOOD_MODEL_KEYS": public_text(KEY.public_key())}))
    assert in_production == KEYS
    with pytest.raises(ArtefactError, match=r"scorecard.json: no signature by a trusted key"):
        load_scorecard(MODELS, keys=in_production)


@pytest.mark.parametrize("text", ["x", "AAAA", "树", "$$$$", "A" * 41])
def test_a_malformed_key_is_named(text: str) -> None:
    with pytest.raises(ArtefactError, match="HEARTWOOD_MODEL_KEYS holds"):
        trusted(settings({"HEARTWOOD_MODEL_KEYS": f"{public_text(KEY.public_key())} {text}"}))


def test_a_key_file_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path).private_bytes_raw() == made.private_bytes_raw()
    with pytest.raises(ArtefactError, match="cannot be made"):
        make_key(path)
    path.write_text("no key")
    with pytest.raises(ArtefactError, match="holds no key"):
        read_key(path)


def test_a_site_signs_the_card_with_its_own_key_and_serves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner()
    made = run.invoke(heartwood, ["model-key", str(tmp_path / "key.pem")])
    assert made.exit_code == 0, made.output
    models = tmp_path / "models"
    models.mkdir()
    signing = ["--key", str(tmp_path / "key.pem"), "--by", "the model board", "--models", str(models)]
    adopted = run.invoke(heartwood, ["credit", "adopt", str(MODELS / "scorecard.json"), *signing])
    assert adopted.exit_code == 0, adopted.output
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEARTWOOD_MODELS", str(models))
    monkeypatch.setenv("HEARTWOOD_MODEL_KEYS", made.output.strip())
    served = load_scorecard()
    assert [each["by"] for each in served.signatures] == ["the model board"]
    assert served.document == json.loads((MODELS / "scorecard.json").read_bytes())
