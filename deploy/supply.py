"""What Heartwood is made of besides its own code: every library of the lock that runs in production, with its licence.

`make sbom` writes the same as a bill of materials (CycloneDX) with the hashes of every file that may be installed.
"""

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
#: Licences that bind whoever passes the program on to pass on more than a notice.
COPYLEFT = ("GPL", "MPL", "EPL", "CDDL", "EUPL")
#: What the classifiers of older packages say, in the words of SPDX.
_CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "Zope Public License": "ZPL-2.1",
}


class Library(NamedTuple):
    """A library of the lock. The licence is empty where it is not installed on this platform."""

    name: str
    version: str
    licence: str

    @property
    def copyleft(self) -> bool:
        """Whether its licence asks for more than a notice."""
        return any(word in self.licence.upper() for word in COPYLEFT)


def libraries() -> list[Library]:
    """Every library that the lock gives to a production install, by name."""
    locked = {package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [("heartwood", ())]
    while waiting:
        name, extras = waiting.pop()
        package = locked[name]
        needed = [*package.get("dependencies", [])]
        for extra in extras:
            needed += package.get("optional-dependencies", {}).get(extra, [])
        waiting += [(one["name"], tuple(one.get("extra", ()))) for one in needed if one["name"] not in found]
        found |= {one["name"] for one in needed}
    return [Library(name, locked[name]["version"], licence(name)) for name in sorted(found)]


def licence(name: str) -> str:
    """The licence that an installed package declares, as SPDX where it says so."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if "License-Expression" in said:
        return said["License-Expression"]
    classes = [c.split(" :: ")[-1] for c in said.get_all("Classifier") or [] if c.startswith("License :: ")]
    named = sorted({_CLASSIFIERS.get(one, one) for one in classes if one != "OSI Approved"})
    words = said["License"].strip().splitlines() if "License" in said else []
    return " AND ".join(named) or (words[0] if words else "not declared")


def page() -> str:
    """The list as a page."""
    lines = [
        "# Libraries and their licences",
        "",
        "Made by `make docs` from the lock and from what each installed library declares. **©** marks copyleft:",
        "passing the program on then asks for more than a notice. `make sbom` writes the bill with its hashes.",
        "",
        "| library | version | licence | |",
        "|---|---|---|---|",
    ]
    for one in libraries():
        lines.append(
            f"| {one.name} | {one.version} | {one.licence or 'not on Linux'} | {'©' if one.copyleft else ''} |"
        )
    return "\n".join(lines) + "\n"


def bill() -> dict[str, Any]:
    """The bill of materials of a production install, CycloneDX 1.5: uv's, with the licences beside the hashes."""
    export = ["export", "--quiet", "--locked", "--no-dev", "--format", "cyclonedx1.5"]
    said = subprocess.run([sys.executable, "-m", "uv", *export], cwd=ROOT, capture_output=True, check=True)
    made: dict[str, Any] = json.loads(said.stdout)
    for component in made["components"]:
        if found := licence(component["name"]):
            component["licenses"] = [{"license": {"name": found}}]
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=1) + "\n", encoding="utf-8")
    print(f"{target}: {len(bill()['components'])} libraries")
