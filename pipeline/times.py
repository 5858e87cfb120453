"""Times as a person reads them. Pure."""


def stamp(seconds: float) -> str:
    """Seconds as "m:ss", from one hour on "h:mm:ss"; fractions are dropped."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
