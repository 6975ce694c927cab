"""Whether muting can be done, in words."""


def why_not(action: str, *, muted: bool) -> str:
    """Return why `mute` or `unmute` is of no use now; "" where it is, and for other actions."""
    if action == "mute" and muted:
        return "it is muted already"
    return "it is not muted" if action == "unmute" and not muted else ""
