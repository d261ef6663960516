"""One policy file over another that it extends: one value, in which everything still knows the file that it stands in.

Mappings are merged key by key. Whether the outcome loosens anything is checked elsewhere
(`policies.comparing.extending`).
"""

from __future__ import annotations

from policies.text.document import Document, Path, Value

# Lists whose entries have names: one of the same name takes the place of the parent's, others are added.
NAMED_LISTS: frozenset[Path] = frozenset({("decisions",), ("sensitivity", "dictionaries"), ("sensitivity", "patterns")})
ADDED_LISTS: frozenset[Path] = frozenset({("sensitivity", "countries")})
LEVELS: Path = ("sensitivity", "levels")
# Keys that exclude each other: who writes one takes back the parent's other.
_EXCLUSIVE = {"escalation": (("threshold", "target"),), "models": (("api_key_env", "api_key_file"),)}
_EXTENDS = "extends"


def merge(own: Document, parent: Document, parent_source: str) -> Document:
    """`own` over `parent`. What `own` does not say is the parent's, with places in `parent_source` or its parents."""
    merged = _Merging(own, parent, parent_source)
    merged.out.value = merged.both((), own.value, parent.value)
    return merged.out


class _Merging:
    def __init__(self, own: Document, parent: Document, parent_source: str) -> None:
        self.out = Document()
        self._own = own
        self._parent = parent
        self._parent_source = parent_source

    def both(self, path: Path, mine: Value, theirs: Value) -> Value:
        """What stands at a path of which both files say something."""
        if isinstance(mine, dict) and isinstance(theirs, dict):
            if path == LEVELS:
                return self._levels(path, mine, theirs)
            return self._take_own(path, mine) if _is_another_model(path, mine) else self._joined(path, mine, theirs)
        if isinstance(mine, list) and isinstance(theirs, list) and path in NAMED_LISTS:
            return self._by_name(path, mine, theirs)
        if isinstance(mine, list) and isinstance(theirs, list) and path in ADDED_LISTS:
            return self._added(path, mine, theirs, mine)
        return self._take_own(path, mine)

    def _joined(self, path: Path, mine: dict[str, Value], theirs: dict[str, Value]) -> Value:
        self._place(self._own, path, path)
        members: dict[str, Value] = {}
        for key, value in theirs.items():
            here = (*path, key)
            if key not in mine:
                if not _is_excluded(here, mine):
                    members[key] = self._take_parents(here, here, value)
            else:
                members[key] = self.both(here, mine[key], value)
        for key, value in mine.items():
            if key not in theirs:
                members[key] = self._take_own((*path, key), value)
        if not path:
            members.pop(_EXTENDS, None)
        return members

    def _levels(self, path: Path, mine: dict[str, Value], theirs: dict[str, Value]) -> Value:
        """Entities have one level: the child's, where it names one."""
        self._place(self._own, path, path)
        moved = [entity for listed in mine.values() if isinstance(listed, list) for entity in listed]
        members: dict[str, Value] = {}
        for level in dict.fromkeys((*theirs, *mine)):
            here = (*path, level)
            listed, inherited = mine.get(level, []), theirs.get(level, [])
            if isinstance(listed, list) and isinstance(inherited, list):
                members[level] = self._added(here, listed, inherited, moved)
            else:
                members[level] = self._take_own(here, listed)
        return members

    def _by_name(self, path: Path, mine: list[Value], theirs: list[Value]) -> Value:
        self._place(self._own, path, path)
        replaced = {_name(entry): index for index, entry in enumerate(mine) if _name(entry) is not None}
        items: list[Value] = []
        used = set()
        for index, entry in enumerate(theirs):
            by = replaced.get(_name(entry))
            to = (*path, len(items))
            if by is None:
                items.append(self._take_parents((*path, index), to, entry))
            else:
                used.add(by)
                items.append(self._take(self._own, (*path, by), to, mine[by]))
        for index, entry in enumerate(mine):
            if index not in used:
                items.append(self._take(self._own, (*path, index), (*path, len(items)), entry))
        return items

    def _added(self, path: Path, mine: list[Value], theirs: list[Value], without: list[Value]) -> Value:
        """The parent's entries but for some, then the child's."""
        self._place(self._own if path in self._own.values else self._parent, path, path)
        items: list[Value] = []
        for index, entry in enumerate(theirs):
            if entry not in without:
                items.append(self._take_parents((*path, index), (*path, len(items)), entry))
        for index, entry in enumerate(mine):
            items.append(self._take(self._own, (*path, index), (*path, len(items)), entry))
        return items

    def _take_own(self, path: Path, value: Value) -> Value:
        return self._take(self._own, path, path, value)

    def _take_parents(self, at: Path, to: Path, value: Value) -> Value:
        return self._take(self._parent, at, to, value)

    def _take(self, source: Document, at: Path, to: Path, value: Value) -> Value:
        """The value, and with it the places of all that is in it."""
        self._place(source, at, to)
        if isinstance(value, dict):
            for key, each in value.items():
                self._take(source, (*at, key), (*to, key), each)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                self._take(source, (*at, index), (*to, index), each)
        return value

    def _place(self, source: Document, at: Path, to: Path) -> None:
        if at in source.values:
            self.out.values[to] = source.values[at]
        if at in source.keys:
            self.out.keys[to] = source.keys[at]
        origin = source.origins.get(at, self._parent_source if source is self._parent else "")
        if origin:
            self.out.origins[to] = origin


def _is_another_model(path: Path, mine: dict[str, Value]) -> bool:
    """A model that says where it is takes nothing from one of the same name: least of all its key."""
    return len(path) == 2 and path[0] == "models" and ("backend" in mine or "base_url" in mine)


def _is_excluded(path: Path, mine: dict[str, Value]) -> bool:
    """Whether the child has a key in place of this one of its parent's."""
    if path == (_EXTENDS,):
        return True
    pairs = _EXCLUSIVE.get(str(path[0]), ()) if len(path) in (2, 3) else ()
    return any(path[-1] in pair and any(other in mine for other in pair if other != path[-1]) for pair in pairs)


def _name(entry: Value) -> Value:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None
