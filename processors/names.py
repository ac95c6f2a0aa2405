"""Who is who: the names (strong identifiers) that live in this partition, and what it has heard of all that it follows.

A name knows its neighbours (names seen together with it) and tells every partition that asked whose it is: the smallest
person within reach, over the fewest links (distance-vector routing, bounded by `max_hops`). Too many neighbours or an
operator's order make it shared: then it is nobody's and passes nobody on. Pure: what is to be said goes to `say`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from processors.erased import Erasures
from runtime.kafka import partition_of
from schemas.identity import Kinds
from schemas.messages import Advert, Follow, Link, Message, Unfollow

ACTOR, LINK, HEARD = b"a", b"l", b"k"


class Heard(NamedTuple):
    """The newest advert of a name."""

    version: int
    person: str
    hops: int
    shared: bool


class Actor(msgspec.Struct, array_like=True):
    """A name that lives here: its advert, the partitions that follow it, the operator's last order."""

    version: int
    person: str
    hops: int = 0
    shared: bool = False
    followers: list[int] = []
    ordered: int = 0  # version of the last order
    blocked: bool = False


_actor = msgspec.msgpack.Decoder(Actor)
_link = msgspec.msgpack.Decoder(dict[int, int])
_heard = msgspec.msgpack.Decoder(Heard)
_pack = msgspec.msgpack.Encoder().encode


class Names:
    """See the module. `changed` is called with a name of which something new was heard, `announce` with one of ours,
    `vanished` with one of ours that is forgotten; `carried` tells whether a touchpoint or sighting here carries a name,
    `digest` is the keyed hash of a name.
    """

    def __init__(
        self,
        number: int,
        partitions: int,
        kinds: Kinds,
        *,
        version: Callable[[], int],
        say: Callable[[int, str, Message], None],
        changed: Callable[[str, Heard | None, Heard], None],
        announce: Callable[[str, str, bool], None],
        vanished: Callable[[str], None],
        carried: Callable[[str], bool],
        digest: Callable[[str], bytes],
        erased: Erasures,
    ) -> None:
        self._number, self._partitions, self._kinds = number, partitions, kinds
        self._version, self._say, self._changed, self._announce = version, say, changed, announce
        self._vanished, self._carried, self._digest, self._erased = vanished, carried, digest, erased
        self._actors: dict[str, bytes] = {}
        # name → other → {partition that says so: version · 2 + linked}; names that live here only
        self._links: defaultdict[str, dict[str, dict[int, int]]] = defaultdict(dict)
        self._near: defaultdict[str, set[str]] = defaultdict(set)  # other → names here that are linked to it
        self._linked: defaultdict[str, int] = defaultdict(int)  # number of its neighbours
        self.heard: dict[str, Heard] = {}
        self._followed: set[str] = set()
        self._state: dict[bytes, bytes | None] = {}

    # --- state ---------------------------------------------------------------------------------------------------

    def restore(self, key: bytes, value: bytes) -> None:
        """One record of the state; first all of them, then everything else."""
        kind, name = key[:1], key[1:].decode()
        if kind == ACTOR:
            self._actors[name] = value
            actor = _actor.decode(value)
            self.heard[name] = Heard(actor.version, actor.person, actor.hops, actor.shared)
        elif kind == HEARD:
            self.heard[name] = _heard.decode(value)
        else:
            name, _, other = name.partition("\0")
            said = self._links[name][other] = _link.decode(value)
            if any(one & 1 for one in said.values()):
                self._linked[name] += 1
                self._near[other].add(name)

    def take_state(self) -> dict[bytes, bytes | None]:
        """What has changed since this was last asked."""
        state, self._state = self._state, {}
        return state

    # --- what others want to know ----------------------------------------------------------------------------------

    def follow(self, names: Iterable[str]) -> None:
        """See to it that we hear of these names."""
        for name in names:
            if name not in self.heard and name not in self._followed:
                self._followed.add(name)
                self._say(self._home(name), name, Follow(name, self._number))

    def asked(self, message: Follow) -> None:
        # Always answered: who asks may have forgotten an erased name that it followed.
        self._inform(message.name, message.partition, again=True)

    def _inform(self, name: str, partition: int, *, again: bool = False) -> None:
        actor = self._load(name)
        if partition == self._number:
            return
        if partition not in actor.followers:
            actor.followers.append(partition)
            self._keep(name, actor)
        elif not again:
            return
        self._say(partition, name, Advert(name, actor.version, actor.person, actor.hops, actor.shared))

    def linked(self, message: Link) -> None:
        name, other, partition = message.name, message.other, message.partition
        forgotten = self._erased.until(name) >= 0 or self._erased.until(other) >= 0
        if forgotten and not message.linked and other not in self._links.get(name, ()):
            return
        said = self._links[name].setdefault(other, {})
        if message.version <= said.get(partition, 0) >> 1:
            return
        before = any(one & 1 for one in said.values())
        said[partition] = message.version << 1 | message.linked
        now = any(one & 1 for one in said.values())
        self._state[LINK + f"{name}\0{other}".encode()] = _pack(said)
        if now != before:
            self._linked[name] += 1 if now else -1
            if now:
                self._near[other].add(name)
            else:
                self._near[other].discard(name)
        if forgotten and now:  # it may have been forgotten after it had told us whose it is
            self.follow([other])
        self._inform(name, self._home(other))
        self._route(name)
        if forgotten and not now:
            self._unlink(name, other)
            self.retire(name)
            self.retire(other)

    def told(self, message: Advert) -> None:
        """What a name says of itself, ours included."""
        name, known = message.name, self.heard.get(message.name)
        if known is not None and message.version <= known.version:
            return
        if name not in self._actors and self._home(name) == self._number:
            return  # said before it was forgotten
        heard = self.heard[name] = Heard(message.version, message.person, message.hops, message.shared)
        self._followed.discard(name)
        if name not in self._actors:
            self._state[HEARD + name.encode()] = _pack(heard)
        self._heard_of(name, known, heard)
        self.retire(name)

    def ordered(self, name: str, version: int, blocked: bool) -> None:
        """An operator's order."""
        actor = self._load(name)
        if version < actor.ordered:
            return
        actor.ordered, actor.blocked = version, blocked
        self._keep(name, actor)
        self._route(name)

    # --- who is erased -----------------------------------------------------------------------------------------------

    def unfollowed(self, message: Unfollow) -> None:
        value = self._actors.get(message.name)
        if value is None:
            return
        actor = _actor.decode(value)
        if message.partition in actor.followers:
            actor.followers.remove(message.partition)
            self._keep(message.name, actor)
        self.retire(message.name)

    def known(self) -> set[str]:
        """Every name that this partition has heard of."""
        return self.heard.keys() | self._followed | {other for others in self._links.values() for other in others}

    def erase(self, names: set[str], partners: set[bytes]) -> None:
        """Forget what nothing carries any more of these names; `partners`: hashes of names that have one more erased
        partner."""
        for name in list(self._links) if names else ():
            for other in self._links[name].keys() & names:
                if not any(one & 1 for one in self._links[name][other].values()):
                    self._unlink(name, other)
        for name in sorted(names):
            self.retire(name)
        if partners:
            for name in sorted(name for name in self._actors if self._digest(name) in partners):
                self._route(name)

    def _unlink(self, name: str, other: str) -> None:
        """Forget a link that nobody claims any more."""
        del self._links[name][other]
        self._state[LINK + f"{name}\0{other}".encode()] = None

    def retire(self, name: str) -> None:
        """Forget the name of somebody erased, unless it is in use again. It is kept where it lives until all others have
        forgotten it."""
        if self._erased.until(name) < 0 or self._carried(name) or self._near.get(name):
            return
        if self._home(name) != self._number:
            if self.heard.pop(name, None) is not None:
                self._state[HEARD + name.encode()] = None
                self._say(self._home(name), name, Unfollow(name, self._number))
            return
        value = self._actors.get(name)
        actor = _actor.decode(value) if value is not None else None
        if actor is None or actor.followers or actor.blocked or self._linked[name]:
            return
        for other in list(self._links.pop(name, ())):
            self._state[LINK + f"{name}\0{other}".encode()] = None
        for known in (self._actors, self.heard, self._linked):
            known.pop(name, None)
        self._state[ACTOR + name.encode()] = None
        self._vanished(name)

    # --- ours ------------------------------------------------------------------------------------------------------

    def _home(self, name: str) -> int:
        return partition_of(name.encode(), self._partitions)

    def _load(self, name: str) -> Actor:
        value = self._actors.get(name)
        if value is not None:
            return _actor.decode(value)
        actor = Actor(self._version(), name)
        self._keep(name, actor)
        heard = self.heard[name] = Heard(actor.version, name, 0, False)
        self._followed.discard(name)
        self._announce(name, name, False)
        self._heard_of(name, None, heard)
        if not self._erased.partners(name):
            return actor
        self._route(name)  # it may have been shared before all of it was erased
        return _actor.decode(self._actors[name])

    def _keep(self, name: str, actor: Actor) -> None:
        value = self._actors[name] = _pack(actor)
        self._state[ACTOR + name.encode()] = value

    def _heard_of(self, name: str, before: Heard | None, heard: Heard) -> None:
        self._changed(name, before, heard)
        for neighbour in sorted(self._near.get(name, ())):
            self._route(neighbour)

    def _too_many(self, name: str) -> bool:
        """More partners than a name of one person has, erased ones included?"""
        gone = self._erased.partners(name)
        if not gone:
            return self._linked[name] > self._kinds.max_links
        claimed = (other for other, said in self._links[name].items() if any(one & 1 for one in said.values()))
        return len({*gone, *map(self._digest, claimed)}) > self._kinds.max_links

    def _route(self, name: str) -> None:
        """The smallest person within reach, then the fewest links; tell it if it has changed."""
        actor = self._load(name)
        shared = actor.blocked or self._too_many(name)
        person, hops = name, 0
        if not shared:
            rank = self._kinds.rank
            best = (rank(name), 0)
            for other, said in self._links[name].items():
                heard = self.heard.get(other)
                if heard is None or heard.shared or heard.hops >= self._kinds.max_hops:
                    continue
                if any(one & 1 for one in said.values()):
                    best = min(best, (rank(heard.person), heard.hops + 1))
            (_, person), hops = best
        if (person, hops, shared) == (actor.person, actor.hops, actor.shared):
            return
        moved = (person, shared) != (actor.person, actor.shared)
        actor.version, actor.person, actor.hops, actor.shared = self._version(), person, hops, shared
        self._keep(name, actor)
        advert = Advert(name, actor.version, person, hops, shared)
        for partition in (self._number, *actor.followers):
            self._say(partition, name, advert)
        if moved:
            self._announce(name, person, shared)
