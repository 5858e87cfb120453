"""Times as a person reads them. Pure."""


def stamp(seconds: float) -> str:
    """Seconds as "m:ss", from one hour on "h:mm:ss"; fractions are dropped."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seconds(text: str) -> float | None:
    """What stamp writes, or seconds alone, as seconds; None for what is no time."""
    parts = text.strip().split(":")
    if not 1 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts[:-1]):
        return None
    try:
        last = float(parts[-1])
    except ValueError:
        return None
    if not 0 <= last < (60 if len(parts) > 1 else float("inf")):
        return None
    return sum((int(part) * 60 ** (len(parts) - 1 - place) for place, part in enumerate(parts[:-1])), last)
