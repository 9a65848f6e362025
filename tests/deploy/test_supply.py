"""What is shipped besides our own code: known, hashed, and under licences that somebody looked at."""

import re

from deploy.supply import bill, libraries

#: Copyleft that was looked at: these stay libraries of their own, unchanged and replaceable.
SEEN = {"certifi", "crc32c", "orjson", "psycopg", "psycopg-binary", "psycopg-pool"}


def test_every_licence_was_looked_at() -> None:
    found = libraries()
    assert {one.name for one in found if one.copyleft} == SEEN
    for one in found:
        assert one.licence != "not declared", one.name
        assert not re.search(r"\bA?GPL", one.licence.upper()), f"{one.name} may not go into a program that is passed on"


def test_the_bill_names_every_library_with_its_hashes() -> None:
    made = bill()
    assert made["bomFormat"] == "CycloneDX"
    components = {component["name"]: component for component in made["components"]}
    assert components.keys() == {one.name for one in libraries()}
    for one in libraries():
        assert components[one.name]["version"] == one.version
        files = components[one.name]["externalReferences"]
        assert [bool(file["hashes"]) for file in files] == [True] * len(files) != [], one.name
        assert not one.licence or components[one.name]["licenses"]
