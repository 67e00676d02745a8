"""What an installation of the wheel alone finds: python only_required.py SITE SCRIPT ARGUMENT...

``mixflow`` is imported from the folder SITE, and what is installed here but not required by its
metadata, the companion too, cannot be imported.
"""

import runpy
import sys
from importlib import metadata
from importlib.abc import MetaPathFinder

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def required(requirement, found=frozenset()):
    """Return the names of what a requirement needs, itself among them."""
    name = canonicalize_name(requirement.name)
    if name in found:
        return found
    found |= {name}
    for needed in map(Requirement, metadata.requires(name) or ()):
        extras = requirement.extras or {""}
        if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in extras):
            found = required(needed, found)
    return found


class Refusing(MetaPathFinder):
    """Find no module that comes with a distribution, none of them a required one."""

    def __init__(self, allowed, others=()):
        self.others = others
        self.refused = {
            module
            for module, owners in metadata.packages_distributions().items()
            if not allowed & set(map(canonicalize_name, owners))
        }

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {*self.refused, "companion"}:
            return None
        specs = (finder.find_spec(name, path, target) for finder in self.others)
        return next(filter(None, specs), None)


if __name__ == "__main__":
    site = sys.path[0] = sys.argv.pop(1)
    sys.meta_path[:] = [Refusing(required(Requirement("mixflow")), tuple(sys.meta_path))]
    import mixflow

    assert mixflow.__file__.startswith(site)
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
