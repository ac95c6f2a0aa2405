"""A customer's life as text. Colour is never the only one to say something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from rich.console import Console
from rich.text import Text

from cli import text
from people.life import Life, Told, Touchpoint
from processors.experience import intensity

# Status → sign, colour, words.
STATUS = {
    "open": ("●", "cyan", "open"),
    "completed": ("✓", "green", "completed"),
    "dropped_off": ("✗", "red", "dropped off"),
    "recovered": ("↺", "yellow", "recovered"),
}
FELT_STRONGLY = 0.3  # on the scale of processors.experience, -1 … +1
_CHANNEL_COLOURS = {
    "web": "blue", "app": "bright_blue", "store": "magenta", "call_center": "yellow", "email": "green", "delivery": "cyan",
}  # fmt: skip


def show(console: Console, life: Life, as_of: int, zone: tzinfo) -> None:
    """Print a life as it stands at `as_of` (ms UTC): who it is, then the journeys in the order of their start."""

    def line(content: Text) -> None:
        content.rstrip()
        console.print(content, soft_wrap=True)

    name, *others = life.identifiers or (str(life.person),)
    line(Text.assemble((name, "bold"), *(f"  ·  {other}" for other in others)))
    channels = ", ".join(dict.fromkeys(touchpoint.channel for touchpoint in life.touchpoints))
    counts = f"{_many(len(life.touchpoints), 'touchpoint')} ({channels}), {_many(len(life.journeys), 'journey')}"
    line(Text(f"person {life.person}; {counts}; times in {zone}", "dim"))
    for told in life.journeys:
        line(Text())
        line(_headline(told))
        line(Text("  " + " → ".join(told.path)))
        for content in _day_by_day(told.touchpoints, zone, told):
            line(content)
        line(_ending(told, as_of, zone))
    if life.outside:
        line(Text())
        line(Text("in no journey", "bold"))
        for content in _day_by_day(life.outside, zone):
            line(content)


def _headline(told: Told) -> Text:
    journey = told.journey
    sign, colour, status = STATUS[journey.status]
    facts = [f"{_many(journey.touchpoints, 'touchpoint')} in {text.duration(journey.last_at - journey.started_at)}"]
    facts += [text.money(amount, currency) for currency, amount in journey.value.items()]
    if journey.peak_end is not None:
        facts.append(f"experience {journey.peak_end:+.2f}")
    return Text.assemble((journey.definition, "bold"), "  ", (f"{sign} {status}", colour), "  ", "  ·  ".join(facts))


def _day_by_day(touchpoints: Sequence[Touchpoint], zone: tzinfo, told: Told | None = None) -> list[Text]:
    """A line per touchpoint, per day and per silence. Without a journey there are neither stages nor silences."""
    channel = max(len(touchpoint.channel) for touchpoint in touchpoints)
    name = max(len(touchpoint.name) for touchpoint in touchpoints)
    widest = max((len(told.stage(touchpoint)) for touchpoint in touchpoints), default=0) if told else 0
    silences = _silences(told, zone) if told else {}
    lines: list[Text] = []
    day, stage = "", ""
    before: int | None = None
    for step, touchpoint in enumerate(touchpoints):
        moment = _local(touchpoint.at, zone)
        if f"{moment:%a %d %b %Y}" != day:
            day = f"{moment:%a %d %b %Y}"
            lines.append(Text(f"  {day}", "bold"))
        entered = told.stage(touchpoint) if told else ""
        lines.append(
            Text.assemble(
                f"    {moment:%H:%M:%S}  ",
                ("" if before is None else f"+{text.duration(touchpoint.at - before)}").rjust(12) + "  ",
                (touchpoint.channel.ljust(channel), _CHANNEL_COLOURS.get(touchpoint.channel, "")),
                f"  {touchpoint.name.ljust(name)}  ",
                (entered.ljust(widest), "bold" if entered != stage else "dim"),
                *_extras(touchpoint),
            )
        )
        lines += silences.get(step, [])
        before, stage = touchpoint.at, entered or stage
    return lines


def _silences(told: Told, zone: tzinfo) -> dict[int, list[Text]]:
    """Step after which she fell silent → the line that says so. The present silence is told by the ending."""
    journey = told.journey
    lines: dict[int, list[Text]] = {}
    for at, rank, step, back in zip(
        journey.drop_off_at, journey.drop_off_stage, journey.drop_off_step, journey.recovered_at, strict=True
    ):
        if back:
            lasted = text.duration(back - told.touchpoints[step].at)
            where = f" at {told.stage_name(rank)}" if rank else ""
            said = f"silent for {lasted}: dropped off{where} on {_local(at, zone):%a %d %b %H:%M}, and came back"
            lines[step] = [Text(f"    ┊ {said}", "yellow")]
    return lines


def _extras(touchpoint: Touchpoint) -> list[str | tuple[str, str]]:
    """Place, money and feedback; feedback is coloured by its mood."""
    found: list[str | tuple[str, str]] = []
    if touchpoint.store:
        found.append((f"  {touchpoint.store}", "dim"))
    if touchpoint.currency:
        found.append(f"  {text.money(touchpoint.amount, touchpoint.currency)}")
    if touchpoint.feedback:
        felt = intensity(touchpoint.feedback, touchpoint.score, touchpoint.sentiment)
        score = f" {touchpoint.score}" if touchpoint.score >= 0 else ""
        said = f" “{' '.join(touchpoint.text.split())}”" if touchpoint.text else ""
        found.append((f"  {touchpoint.feedback}{score} {_mood(felt)[0]}{said}", _mood(felt)[1]))
    return found


def _mood(felt: float | None) -> tuple[str, str]:
    """Sign and colour."""
    if felt is None:
        return "", ""
    return ("☹", "red") if felt < -FELT_STRONGLY else ("☺", "green") if felt > FELT_STRONGLY else ("○", "yellow")


def _ending(told: Told, as_of: int, zone: tzinfo) -> Text:
    """How it stands: reached, waited for until when, or lost since when."""
    journey = told.journey
    where = f" at {told.stage_name(journey.stage)}" if journey.stage else ""
    if journey.status == "completed":
        reached = f"{_local(journey.completed_at, zone):%a %d %b %H:%M}"
        took = text.duration(journey.completed_at - journey.started_at)
        return Text(f"  ✓ reached {told.definition.goal} on {reached}, after {took}", "green")
    silent = text.duration(as_of - journey.last_at)
    deadline = f"{_local(journey.due_at, zone):%a %d %b %H:%M}"
    if journey.status == "dropped_off":
        return Text(f"  ✗ silent for {silent}: dropped off{where} on {deadline}", "red")
    left = text.duration(journey.due_at - as_of)
    return Text(f"  ● silent for {silent}; if nothing comes until {deadline} (in {left}), she drops off{where}", "cyan")


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
