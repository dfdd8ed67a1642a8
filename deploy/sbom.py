"""`make sbom`: a software bill of materials (CycloneDX 1.6, JSON) of the image, from `requirements.lock`.

Reproducible: the same lock gives the same document, whose serial number is derived from its content. The hash of a
component is one per file that the lock allows, since the index decides by platform which of them is installed.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from deploy.local.paths import ROOT
from deploy.lock_file import LockedPackage, locked_packages
from libs.common import __version__

TARGET = ROOT / ".cache" / "sakidashi.cdx.json"
_US = {
    "type": "application",
    "bom-ref": f"pkg:generic/sakidashi@{__version__}",
    "name": "sakidashi",
    "version": __version__,
    "licenses": [{"license": {"id": "Apache-2.0"}}],
}


def bill_of_materials(packages: Sequence[LockedPackage]) -> dict[str, Any]:
    """Return the document for these packages, each once."""
    components = [_component(each) for each in dict.fromkeys(packages)]
    references = [component["bom-ref"] for component in components]
    serial = uuid5(NAMESPACE_URL, json.dumps([_US, *components], sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": _US},
        "components": components,
        "dependencies": [{"ref": _US["bom-ref"], "dependsOn": references}],
    }


def _component(package: LockedPackage) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{package.name}/{package.version}/",
                "hashes": [{"alg": "SHA-256", "content": content} for content in package.hashes],
            }
        ],
    }


def main(target: Path = TARGET) -> None:
    document = bill_of_materials(locked_packages(ROOT / "requirements.lock"))
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{target.relative_to(ROOT)}: {len(document['components'])} components")


if __name__ == "__main__":
    main()
