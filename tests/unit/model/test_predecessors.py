"""The predecessors' profiles: their documents' limits, and never more than the operator allows."""

import pytest

from shared.errors import Unsupported
from shared.model.media import Category
from shared.model.policy import MIB, decide, default_profile, tailored
from shared.model.predecessors import GatewayRules, profiles

MOV = "video/quicktime"
RULES = GatewayRules(("image/jpeg", "application/pdf"), 10 * MIB)


def test_numbered_files_have_fifty_mebibytes_and_less_where_less_is_allowed() -> None:
    usual = profiles(default_profile(), RULES)["numbered"]
    strict = profiles(default_profile({Category.IMAGE: MIB}), RULES)["numbered"]

    assert set(usual.max_sizes.values()) == {50 * MIB}
    assert strict.max_sizes[Category.IMAGE] == MIB
    assert strict.max_sizes[Category.DOCUMENT] == 50 * MIB


def test_the_gateway_takes_what_its_settings_say_and_no_more_than_the_operator_allows() -> None:
    usual = profiles(default_profile(), RULES)["gateway"]
    strict = profiles(default_profile({Category.IMAGE: MIB}), RULES)["gateway"]
    generous = profiles(default_profile(), GatewayRules(("image/JPG", "text/csv"), MIB))["gateway"]

    assert usual.types == {"image/jpeg", "application/pdf"}
    assert set(usual.max_sizes.values()) == {10 * MIB}
    assert strict.max_sizes[Category.IMAGE] == MIB
    assert generous.types == {"image/jpeg", "text/csv"}
    with pytest.raises(ValueError, match="unknown types: image/unheard-of"):
        profiles(default_profile(), GatewayRules(("image/unheard-of",), MIB))


def test_a_film_of_a_camera_is_stored_under_the_name_of_a_film() -> None:
    storage = profiles(default_profile(), RULES)["storage"]

    found = decide(storage, detected=MOV, filename="clip.mp4", declared="video/mp4", size=1)

    assert found.content_type == MOV
    with pytest.raises(Unsupported):
        decide(storage, detected=MOV, filename="clip.mov", declared=MOV, size=1)


def test_what_the_operator_takes_away_no_predecessor_has() -> None:
    default = default_profile()
    without = tailored(default, "default", types=default.types - {MOV})

    assert MOV not in profiles(without, RULES)["storage"].types


def test_each_profile_bears_the_name_it_is_found_by() -> None:
    assert all(profile.name == name for name, profile in profiles(default_profile(), RULES).items())


def test_chunked_files_are_audio_of_every_kind_and_of_no_fixed_size() -> None:
    default = default_profile()
    chunked = profiles(default, RULES)["chunked"]

    assert {each.category for each in chunked.allowed} == {Category.AUDIO}
    assert {"audio/flac", "audio/aac", "audio/mpeg"} <= chunked.types
    assert {"audio/3gpp", "audio/aiff", "audio/amr", "audio/x-ms-wma"} <= chunked.types
    assert chunked.max_sizes == default.max_sizes
